"""Logs as JSON lines, metrics, and the health endpoints.

Knows structlog, prometheus-client and the two ports. Health does not depend on leadership or on the API server: while
the API server is down, the kubelet must not restart the operator too. Decides nothing.
"""

import logging
from collections.abc import Callable

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# A reconcile without a request takes some milliseconds; one with many waits up to the request timeout of 10 s.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The operator's metrics; docs/operator-metrics.md lists them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "voxfleet_operator_reconciles",
            "Reconciles by result: ok, error or broken.",
            ["result"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "voxfleet_operator_reconcile_seconds",
            "Duration of a reconcile in seconds.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.workqueue_depth = Gauge(
            "voxfleet_operator_workqueue_depth", "Resources in the work queue.", registry=self.registry
        )
        self.resources = Gauge(
            "voxfleet_operator_resources", "VoxTTSDeployments in the cluster.", registry=self.registry
        )
        self.api_calls = Counter(
            "voxfleet_operator_api_calls",
            "Requests to the API server by method, without watches.",
            ["method"],
            registry=self.registry,
        )


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


async def serve_metrics(host: str, port: int, metrics: Metrics, refresh: Callable[[], None]) -> web.AppRunner:
    """Serve /metrics in Prometheus' text format; `refresh` sets the gauges before each scrape."""

    async def show(_request: web.Request) -> web.Response:
        refresh()
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
