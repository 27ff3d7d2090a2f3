"""Wakes a region when a request is likely to follow: GET /v1/, which voice agents send as they start, and page loads.

Knows: which requests announce others. Does not know: how much a tenant may wake (the dispatcher's `wake` does).
"""

from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from voxfleet_protocols import catalog

from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.speech import Speech

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Prewake:
    """What other handlers call when they see that speech is about to be requested."""

    dispatcher: Dispatcher
    speech: Speech

    async def api_root(self, request: web.Request) -> web.Response:
        """Respond to GET /v1/, with which LiveKit's plug-in opens its connection before the first text."""
        self.announce(request)
        return web.json_response(catalog.api_root())

    def before(self, page: Handler) -> Handler:
        """Return the page's handler with a wake before it."""

        async def announced(request: web.Request) -> web.StreamResponse:
            # A browser that opens the page says so; load balancers probe the same path, and must wake nothing.
            if request.headers.get("Sec-Fetch-Dest") == "document":
                self.announce(request)
            return await page(request)

        return announced

    def announce(self, request: web.Request) -> str | None:
        """Wake the region that the caller's next request would be sent to, if it sleeps; return its name."""
        context = request[CONTEXT]
        caller = context.caller
        if caller.is_catalog:  # without a key, where keys are required
            return None
        registry = self.dispatcher.fleet.registry()
        usable = sorted({registry.by_name[name].full_name for name in self.dispatcher.names(caller)})
        name = self.speech.recent.expected(caller.tenant, usable)
        if name is None:
            return None
        model = self.dispatcher.model(name, caller)
        decision = self.dispatcher.decide(model, self.speech.route_request(request), context)
        # Beyond the tenant's budget nothing wakes: the request that follows is refused, this one is not.
        woken = [region for region in decision.wake if self.dispatcher.wake(model.key(region), caller) is None]
        for region in woken:
            log.info("woken_ahead", model=name, region=region, request_id=context.request_id)
        return woken[0] if woken else None
