"""The routes of the API.

Knows: paths. Does not know: what the handlers do, what surrounds them (middleware.py).
"""

from collections.abc import Iterator

from aiohttp import web
from aiohttp.typedefs import Handler
from voxfleet_protocols.cartesia import BYTES_PATH, SOCKET_PATH
from voxfleet_protocols.deepgram import PATH as SPEAK_PATH

from voxfleet_gateway.server.clients.clients import Clients
from voxfleet_gateway.server.clients.rtt import REPORT_PATH
from voxfleet_gateway.server.fleet.contract import EVENTS_PATH, FLEET_PATH
from voxfleet_gateway.server.fleet.events import FleetEvents
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.live.routes import Live
from voxfleet_gateway.server.live.rtc.offers import Offers
from voxfleet_gateway.server.middleware import RTC_PATH, SPEECH_PATH, STREAM_PATH, RequestMiddleware
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.page import Pages
from voxfleet_gateway.server.paths import both
from voxfleet_gateway.server.prewake import Prewake
from voxfleet_gateway.server.protocols.cartesia import Cartesia
from voxfleet_gateway.server.protocols.deepgram import Deepgram
from voxfleet_gateway.server.requests.request_body import continue_later
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.voices.consents import PATH as CONSENT_PATH
from voxfleet_gateway.server.voices.consents import Consents
from voxfleet_gateway.server.voices.routes import PATHS as VOICE_PATHS
from voxfleet_gateway.server.voices.routes import Voices
from voxfleet_gateway.settings import Settings

Route = tuple[str, str, Handler]  # method, path, handler


def public_app(  # noqa: PLR0913, PLR0917  # the handlers of all paths
    settings: Settings,
    speech: Speech,
    live: Live,
    models: Models,
    voices: Voices,
    health: Health,
    clients: Clients,
    fleet: FleetEvents,
) -> web.Application:
    """Return the application of port 6006."""
    middleware = RequestMiddleware(settings, health, speech.accounts, clients.locator.locate).middleware
    app = web.Application(middlewares=[health.middleware, middleware], client_max_size=settings.max_body_bytes)
    app.on_shutdown.append(live.stop)
    pages = Pages(clients)
    routes = [
        *_speech_routes(speech, live),
        *_catalog_routes(models),
        *_voice_routes(voices, speech),
        ("GET", FLEET_PATH, fleet.snapshot),
        ("GET", EVENTS_PATH, fleet.events),
        ("GET", REPORT_PATH, clients.rtt.regions),
        ("POST", REPORT_PATH, clients.rtt.report),
        *_health_and_page_routes(health, pages, Prewake(speech.dispatcher, speech)),
    ]
    pages.add_routes(app)
    app.router.add_routes([_route(*each, form) for each in routes for form in both(each[1])])
    return app


def _speech_routes(speech: Speech, live: Live) -> Iterator[Route]:
    deepgram, cartesia, offers = Deepgram(speech, live), Cartesia(speech, live), Offers(speech, live)
    yield "POST", SPEECH_PATH, speech.post
    yield "GET", STREAM_PATH, live.stream
    yield "GET", RTC_PATH, offers.offered
    yield "POST", RTC_PATH, offers.post
    yield "DELETE", RTC_PATH + "/{session}", offers.delete
    yield "POST", SPEAK_PATH, deepgram.post
    yield "GET", SPEAK_PATH, deepgram.get
    yield "GET", SOCKET_PATH, cartesia.socket
    yield "POST", BYTES_PATH, cartesia.bytes


def _catalog_routes(models: Models) -> Iterator[Route]:
    # A full name of a model holds a slash, hence the dot in its pattern; the longer paths come first.
    model = "/v1/models/{model:.+?}"
    yield "GET", "/v1/models", models.list
    yield "GET", "/v1/audio/models", models.list_audio
    yield "POST", f"{model}/wake", models.wake
    yield "POST", f"{model}/sleep", models.operations.sleep
    yield "GET", model, models.get


def _voice_routes(voices: Voices, speech: Speech) -> Iterator[Route]:
    consents = Consents(voices.repository, speech)
    yield "GET", CONSENT_PATH, consents.list
    yield "POST", CONSENT_PATH, consents.create
    yield "GET", CONSENT_PATH + "/{consent}", consents.get
    yield "POST", CONSENT_PATH + "/{consent}", consents.rename
    yield "DELETE", CONSENT_PATH + "/{consent}", consents.delete
    for path in VOICE_PATHS:
        yield "GET", path, voices.list
        yield "POST", path, voices.create
        yield "GET", path + "/{voice}", voices.get
        yield "DELETE", path + "/{voice}", voices.delete


def _health_and_page_routes(health: Health, pages: Pages, prewake: Prewake) -> Iterator[Route]:
    yield "GET", "/health", health.ok
    yield "GET", "/health/live", health.live
    yield "GET", "/health/ready", health.ready
    yield "GET", "/v1", prewake.api_root
    yield "GET", "/", prewake.before(pages.speech)


def _route(method: str, _path: str, handler: Handler, path: str) -> web.RouteDef:
    """Return the route of one form of a path; GET has HEAD too."""
    match method:
        case "GET":
            return web.get(path, handler)
        case "POST":
            return web.post(path, handler, expect_handler=continue_later)
        case _:
            return web.route(method, path, handler)
