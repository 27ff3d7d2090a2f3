"""The routes of the API.

Knows: paths. Does not know: what the handlers do, what surrounds them (middleware.py).
"""

from aiohttp import web

from voxfleet_gateway.server.clients.clients import Clients
from voxfleet_gateway.server.clients.rtt import REPORT_PATH
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.middleware import SPEECH_PATH, STREAM_PATH, RequestMiddleware
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.page import Page
from voxfleet_gateway.server.prewake import Prewake
from voxfleet_gateway.server.requests.request_body import continue_later
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.routes import PATHS as VOICE_PATHS
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.settings import Settings


def public_app(  # noqa: PLR0913, PLR0917  # the handlers of all paths
    settings: Settings,
    speech: Speech,
    live: Live,
    models: Models,
    voices: Voices,
    health: Health,
    clients: Clients,
) -> web.Application:
    """Return the application of port 6006."""
    middleware = RequestMiddleware(settings, health, speech.accounts, clients.locator.locate).middleware
    app = web.Application(middlewares=[health.middleware, middleware], client_max_size=settings.max_body_bytes)
    app.router.add_post(SPEECH_PATH, speech.post, expect_handler=continue_later)
    app.router.add_get(STREAM_PATH, live.stream)
    app.on_shutdown.append(live.stop)
    app.router.add_get("/v1/models", models.list)
    # A full name holds a slash, hence .+
    app.router.add_post("/v1/models/{model:.+}/wake", models.wake, expect_handler=continue_later)
    app.router.add_get("/v1/models/{model:.+}", models.get)
    for path in VOICE_PATHS:
        app.router.add_get(path, voices.list)
        app.router.add_post(path, voices.create, expect_handler=continue_later)
        app.router.add_get(path + "/{voice}", voices.get)
        app.router.add_delete(path + "/{voice}", voices.delete)
    app.router.add_get(REPORT_PATH, clients.rtt.regions)
    app.router.add_post(REPORT_PATH, clients.rtt.report)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    prewake = Prewake(speech.dispatcher, speech)
    app.router.add_get("/v1", prewake.api_root)
    app.router.add_get("/v1/", prewake.api_root)
    app.router.add_get("/", prewake.before(Page(clients).get))
    return app
