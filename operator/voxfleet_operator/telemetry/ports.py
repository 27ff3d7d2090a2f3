"""Logs as JSON lines, and the ports of health and metrics.

Knows structlog and the two ports. Health does not depend on leadership or on the API server: while the API server is
down, the kubelet must not restart the operator too. Does not know what the metrics are (metrics.py).
"""

import logging
from collections.abc import Callable

import structlog
from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from voxfleet_operator.telemetry.metrics import Metrics


def set_up_logging(level: str) -> None:
    """Log one JSON object per line; libraries log from level warning on."""
    lowest = getattr(logging, level.upper())
    logging.basicConfig(level=max(lowest, logging.WARNING), format='{"event": %(message)r, "logger": "%(name)s"}')
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
    )


async def serve_health(host: str, port: int, is_ready: Callable[[], bool]) -> web.AppRunner:
    """Serve /healthz (the event loop runs) and /readyz (every watch has listed once)."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_request: web.Request) -> web.Response:
        return (
            web.Response(text="ready") if is_ready() else web.Response(text="watches have not listed yet", status=503)
        )

    return await _serve(host, port, {"/healthz": healthz, "/readyz": readyz})


async def serve_metrics(host: str, port: int, metrics: Metrics, before_scrape: Callable[[], object]) -> web.AppRunner:
    """Serve /metrics in Prometheus' text format; `before_scrape` is called before each scrape."""

    async def show(_request: web.Request) -> web.Response:
        before_scrape()
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return await _serve(host, port, {"/metrics": show})


async def _serve(host: str, port: int, routes: dict[str, Callable[[web.Request], object]]) -> web.AppRunner:
    application = web.Application()
    for path, handler in routes.items():
        application.router.add_get(path, handler)  # type: ignore[arg-type] # aiohttp takes coroutine functions
    # Probes and scrapes come every few seconds: an access log would be most of the log.
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
