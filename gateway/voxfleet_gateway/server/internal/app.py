"""The routes of port 9091, for the operator, the other gateways of the region and administrators.

Knows: paths. Does not know: what the handlers do; which processes may connect (NetworkPolicy).
"""

from aiohttp import web

from voxfleet_gateway.dispatch.handover import HANDOVER_PATH
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.server.clients.clients import Clients
from voxfleet_gateway.server.fleet.replicas import ReplicaHandler
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.internal.explain import EXPLAIN_PATH, Explain
from voxfleet_gateway.server.internal.handover import HandoverHandler
from voxfleet_gateway.server.internal.load import LoadHandler
from voxfleet_gateway.server.requests.request_body import continue_later
from voxfleet_gateway.server.voices.internal_routes import InternalVoices
from voxfleet_gateway.settings import Settings


def internal_app(  # noqa: PLR0913, PLR0917  # the handlers of all paths
    settings: Settings,
    fleet: Fleet,
    handover: HandoverHandler,
    voices: InternalVoices | None,
    health: Health,
    clients: Clients,
    peering: Peering | None,
    replicas: ReplicaHandler,
) -> web.Application:
    """Return the application of port 9091."""
    app = web.Application(client_max_size=settings.max_body_bytes)
    app.router.add_post(HANDOVER_PATH, handover.post, expect_handler=continue_later)
    app.router.add_get("/internal/load", LoadHandler(settings, fleet).get)
    explain = Explain(settings, handover.speech.dispatcher, clients.locator.place_of)
    if peering is not None:
        explain.peer_fault = peering.fault
    app.router.add_get(EXPLAIN_PATH, explain.get)
    clients.rtt.add_internal(app)
    replicas.add_to(app)
    # For the kubelet, where the API's port begins with a PROXY header, which it does not send.
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    if voices is not None:
        voices.add_to(app)
    return app
