"""Liveness and readiness, and whether a gateway that shuts down may end.

Live: the event loop runs. Ready: every watch has synced once and the gateway is not shutting down. An API server that
is away does not make a gateway unready: it serves with the state that it has. Quiet: no request is open, and none has
come for a while: until each node's proxy has read that this gateway ends, new connections still come.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

from voxfleet_gateway.server.paths import canonical

HEALTH_PATHS = frozenset({"/health", "/health/live", "/health/ready"})


@dataclass(slots=True)
class Health:
    """The handlers of these paths."""

    missing: Callable[[], list[str]]  # names of watches that have not synced yet
    is_draining: bool = False
    open_requests: int = 0  # from the end of their heads to the end of their responses; without probes
    last_request_seconds: float = -math.inf  # monotonic

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count a request as open, whatever it waits for: its body, a pod, its client."""
        if canonical(request.path) in HEALTH_PATHS:
            return await handler(request)
        self.open_requests += 1
        self.last_request_seconds = time.monotonic()
        try:
            return await handler(request)
        finally:
            self.open_requests -= 1

    def is_quiet(self, seconds: float) -> bool:
        """Return whether no request is open and none has come for so long."""
        return not self.open_requests and time.monotonic() - self.last_request_seconds >= seconds

    async def live(self, _request: web.Request) -> web.Response:
        """Respond with 200 while the event loop runs."""
        return web.json_response({"status": "live"})

    async def ok(self, _request: web.Request) -> web.Response:
        """Respond with OK, as clients of Speaches and vLLM ask, or with 503 and the state."""
        state = "draining" if self.is_draining else "waiting" if self.missing() else ""
        return web.Response(text=state or "OK", status=503 if state else 200)

    async def ready(self, _request: web.Request) -> web.Response:
        """Respond with 200, or with 503 and the reason."""
        if self.is_draining:
            return web.json_response({"status": "draining"}, status=503)
        if missing := self.missing():
            return web.json_response({"status": "waiting", "for": missing}, status=503)
        return web.json_response({"status": "ready"})
