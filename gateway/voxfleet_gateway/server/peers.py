"""The port for gateways of other regions: reports, round trips, requests that they spill, wakes, voices.

Knows: that every request there comes from a known region, by its certificate, or is refused; that `Voxfleet-*` headers
are read here and nowhere else. Does not know: how a request is served (speech.py, live/), what stands in a report.
"""

import ssl
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from voxfleet_gateway.decisions.voice_names import is_stored_id
from voxfleet_gateway.errors import PeerCertificateError, PeerHeaderError, Refusal
from voxfleet_gateway.location.peer_rtt_sync import RttAnswers
from voxfleet_gateway.location.rtt_sync import RTT_PATH
from voxfleet_gateway.peers.headers import REFUSAL_HEADER, read_spill_headers
from voxfleet_gateway.peers.report import REGION_PATH
from voxfleet_gateway.peers.tls import PeerTls, region_of
from voxfleet_gateway.refusals import peer_headers_refused, unknown_peer
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.live.rtc.metered import ACCOUNT_PATH
from voxfleet_gateway.server.live.rtc.of_peers import PeerOffers
from voxfleet_gateway.server.live.rtc.offers import Offers
from voxfleet_gateway.server.middleware import CONTEXT, RTC_PATH, SPEECH_PATH, STREAM_PATH, RequestMiddleware
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.requests.authentication import PEER_REGION, SPILLED
from voxfleet_gateway.server.requests.request_body import continue_later
from voxfleet_gateway.server.responses import error_response
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.internal_routes import InternalVoices
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.telemetry import PEER_FAILURES
from voxfleet_gateway.voices.peers import CHANGED_PATH, VOICES_PATH
from voxfleet_gateway.voices.pod_voices import DESIGN_PATH

KEPT_SECONDS = 0.25  # a report serves every peer that asks within so long: there may be a hundred
POLLED_PATHS = frozenset({REGION_PATH, RTT_PATH})  # they change nothing
UNKNOWN = "unknown"  # the metric's label of a region that the registry does not name

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PeerPort:
    """Admits peers, and answers their polls; the DNS engine polls with any region's certificate, also this one's."""

    tls: PeerTls
    known: Callable[[], Collection[str]]  # names of other regions
    own: str  # this region's name
    report: Callable[[], bytes]
    round_trips: RttAnswers
    is_draining: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    kept: tuple[float, bytes] = (0.0, b"")  # until when, and the report

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what is of no known region; polls are neither logged nor waited for by a drain."""
        try:
            is_poll = request.path in POLLED_PATHS and request.method == "GET"
            known = {*self.known(), self.own} if is_poll else self.known()
            region = region_of(_certificate(request), known, self.clock())
        except PeerCertificateError as error:
            return self._refuse(unknown_peer(str(error)), UNKNOWN)
        if is_poll:
            return self._respond(request)
        if is_replication(request.path):
            request[PEER_REGION] = region
            return await request.match_info.handler(request)  # as a poll: no request of a client
        try:
            spilled = read_spill_headers(request.headers)
        except PeerHeaderError as error:
            return self._refuse(peer_headers_refused(str(error)), region)
        request[PEER_REGION], request[SPILLED] = region, spilled
        return await handler(request)

    def _respond(self, request: web.Request) -> web.Response:
        if request.path == RTT_PATH:
            body = self.round_trips.body(is_newest="newer_than_seconds" in request.query)
            return web.Response(body=body, content_type="application/json")
        until_seconds, body = self.kept
        now_seconds = self.monotonic()
        if now_seconds >= until_seconds:
            body = self.report()
            self.kept = now_seconds + KEPT_SECONDS, body
        return web.Response(body=body, content_type="application/json")

    def _refuse(self, refusal: Refusal, region: str) -> web.Response:
        PEER_FAILURES.labels(region, refusal.code).inc()
        log.warning("peer_refused", peer=region, code=refusal.code, error=refusal.message)
        response = error_response(refusal)
        response.headers[REFUSAL_HEADER] = refusal.code
        if refusal.status == HTTPStatus.FORBIDDEN:
            response.force_close()
        return response

    async def prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Complete a response's head: the sender learns of a refusal here, and of a connection that is not kept."""
        context = request.get(CONTEXT)
        if context is not None and context.refusals:
            response.headers[REFUSAL_HEADER] = next(reversed(context.refusals))
        connection = _connection(request)
        if self.is_draining() or connection is None or not self.tls.is_current(connection):
            # To another gateway, or through a handshake with the present certificates.
            response.headers["Connection"] = "close"
            response.force_close()


def peer_app(  # noqa: PLR0913, PLR0917  # the handlers of all paths
    port: PeerPort,
    requests: RequestMiddleware,
    speech: Speech,
    live: Live,
    models: Models,
    voices: Voices,
    stored: InternalVoices | None,
) -> web.Application:
    """Return the application of the port for peers."""
    app = web.Application(
        middlewares=[port.admit, requests.health.middleware, requests.middleware],
        client_max_size=speech.settings.max_body_bytes,
    )
    app.router.add_post(SPEECH_PATH, speech.post, expect_handler=continue_later)
    app.router.add_get(STREAM_PATH, live.stream)
    offers = Offers(speech, live)
    app.router.add_post(RTC_PATH, offers.post, expect_handler=continue_later)
    app.router.add_get(ACCOUNT_PATH, PeerOffers(offers).session)
    app.router.add_delete(RTC_PATH + "/{session}", offers.delete)
    app.router.add_post("/v1/models/{model:.+}/wake", models.wake, expect_handler=continue_later)
    app.router.add_post("/v1/models/{model:.+}/sleep", models.operations.sleep, expect_handler=continue_later)
    if stored is not None:
        stored.add_to(app)
    app.router.add_post(DESIGN_PATH, voices.draw, expect_handler=continue_later)
    app.on_response_prepare.append(port.prepare)
    app.on_shutdown.append(live.stop)
    return app


def is_replication(path: str) -> bool:
    """Whether gateways keep their voices equal by this path; a voice that is to be drawn is a client's request."""
    return path in {VOICES_PATH, CHANGED_PATH} or is_stored_id(path.removeprefix(f"{VOICES_PATH}/"))


def _certificate(request: web.Request) -> dict[str, object] | None:
    return request.transport.get_extra_info("peercert") if request.transport is not None else None


def _connection(request: web.Request) -> ssl.SSLObject | None:
    return request.transport.get_extra_info("ssl_object") if request.transport is not None else None
