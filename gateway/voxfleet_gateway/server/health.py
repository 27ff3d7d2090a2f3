"""Live: the process answers. Ready: the watches have synced once and the gateway is not ending.

The API server being away does not make a gateway unready: it serves on with what it knows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

HEALTH_PATHS = frozenset({"/health/live", "/health/ready"})


@dataclass(slots=True)
class Health:
    """The two answers."""

    missing: Callable[[], list[str]]  # names of watches that have not synced yet
    draining: bool = False

    async def live(self, _request: web.Request) -> web.Response:
        """Always, while the event loop turns."""
        return web.json_response({"status": "live"})

    async def ready(self, _request: web.Request) -> web.Response:
        """503 says why."""
        if self.draining:
            return web.json_response({"status": "draining"}, status=503)
        if missing := self.missing():
            return web.json_response({"status": "waiting", "for": missing}, status=503)
        return web.json_response({"status": "ready"})
