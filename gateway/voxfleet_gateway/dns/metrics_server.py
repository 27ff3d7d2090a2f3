"""Port 9090 of the DNS engine: /metrics, /health/live, /health/ready.

Knows: HTTP. Does not know: where the numbers come from, when the engine is ready.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from voxfleet_gateway.dns.telemetry import REGISTRY


@asynccontextmanager
async def serving_metrics(
    host: str, port: int, refresh_gauges: Callable[[], None], is_ready: Callable[[], bool]
) -> AsyncIterator[None]:
    """Serve while the context is open."""

    async def metrics(_request: web.Request) -> web.Response:
        refresh_gauges()
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def ready(_request: web.Request) -> web.Response:
        if not is_ready():
            return web.json_response({"status": "waiting", "for": ["models and their addresses"]}, status=503)
        return web.json_response({"status": "ready"})

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/health/live", live), web.get("/health/ready", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host or None, port).start()
        yield
    finally:
        await runner.cleanup()
