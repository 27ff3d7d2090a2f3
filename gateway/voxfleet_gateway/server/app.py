"""The API's routes, and what every answer has in common: headers, OpenAI's error form, one log line.

Knows: paths. Does not know: what the handlers do.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.server.health import HEALTH_PATHS, Health
from voxfleet_gateway.server.models import Models
from voxfleet_gateway.server.page import page
from voxfleet_gateway.server.request_context import CONTEXT, RequestContext, begin_context
from voxfleet_gateway.server.responses import error_response
from voxfleet_gateway.server.speech import SPEECH_PATH, Speech
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import REQUESTS

CLIENT_LEFT = 499  # nginx's number for it; only in logs and metrics

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RequestMiddleware:
    """What stands in front of every handler."""

    settings: Settings
    health: Health

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Account for the request whatever becomes of it."""
        context = request[CONTEXT] = begin_context(request, self.settings.region)
        try:
            response = await self._answer(request, handler, context)
            context.status = response.status
        except asyncio.CancelledError:
            context.status = CLIENT_LEFT
            raise
        finally:
            _account(context)
        return response

    async def _answer(self, request: web.Request, handler: Handler, context: RequestContext) -> web.StreamResponse:
        try:
            await authenticate(request)
            response = await handler(request)
        except RequestRefusedError as refused:
            response = error_response(refused.refusal)
        except web.HTTPException as refused:
            response = error_response(_refusal_of(refused, request))
        except Exception:
            log.exception("request_failed", request_id=context.request_id)
            response = error_response(
                Refusal(500, "internal_error", "The gateway failed; its log has the reason.", None)
            )
        if not response.prepared:
            response.headers.update(context.headers())
            if self.health.draining:
                response.force_close()
        return response


async def authenticate(_request: web.Request) -> None:
    """Where API keys will be checked, before anything is woken; today everyone who reaches the port may ask."""


def _refusal_of(error: web.HTTPException, request: web.Request) -> Refusal:
    """The router's and the body reader's own errors, in OpenAI's form."""
    if error.status == HTTPStatus.NOT_FOUND:
        return Refusal(error.status, "not_found", f"There is no {request.method} {request.path:.200}.")
    return Refusal(error.status, error.reason.lower().replace(" ", "_"), error.text or error.reason)


def _account(context: RequestContext) -> None:
    if context.path in HEALTH_PATHS:
        return
    if context.key is not None:
        key = context.key
        REQUESTS.labels(key.namespace, key.name, key.region, str(context.status), context.route).inc()
    log.info("request", **context.record())


def public_app(settings: Settings, speech: Speech, models: Models, health: Health) -> web.Application:
    """What port 6006 serves."""
    app = web.Application(
        middlewares=[RequestMiddleware(settings, health).middleware], client_max_size=settings.max_body_bytes
    )
    app.router.add_post(SPEECH_PATH, speech.post)
    app.router.add_get("/v1/models", models.list)
    app.router.add_post("/v1/models/{model:.+}/wake", models.wake)
    app.router.add_get("/v1/models/{model:.+}", models.get)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/", page)
    return app
