"""Liveness and readiness.

Live: the event loop runs. Ready: every watch has synced once and the gateway is not shutting down. An API server that
is away does not make a gateway unready: it serves with the state that it has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

HEALTH_PATHS = frozenset({"/health/live", "/health/ready"})


@dataclass(slots=True)
class Health:
    """The handlers of both paths."""

    missing: Callable[[], list[str]]  # names of watches that have not synced yet
    is_draining: bool = False

    async def live(self, _request: web.Request) -> web.Response:
        """Respond with 200 while the event loop runs."""
        return web.json_response({"status": "live"})

    async def ready(self, _request: web.Request) -> web.Response:
        """Respond with 200, or with 503 and the reason."""
        if self.is_draining:
            return web.json_response({"status": "draining"}, status=503)
        if missing := self.missing():
            return web.json_response({"status": "waiting", "for": missing}, status=503)
        return web.json_response({"status": "ready"})
