"""Serves a gateway's ports until SIGTERM or SIGINT, and closes them in order.

Knows: sockets and signals. Does not know: what the applications do.
"""

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from aiohttp import web, web_response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from voxfleet_gateway.cluster.api import connect
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.location.peer_rtt_sync import RttAnswers
from voxfleet_gateway.peers.own_report import own_report
from voxfleet_gateway.peers.peering import Peering
from voxfleet_gateway.peers.report import format_report
from voxfleet_gateway.server.app import public_app
from voxfleet_gateway.server.certificates import Certificates
from voxfleet_gateway.server.clients.proxied_site import ProxiedConnections, ProxiedSite
from voxfleet_gateway.server.internal.app import internal_app
from voxfleet_gateway.server.internal.handover import HandoverHandler
from voxfleet_gateway.server.middleware import RequestMiddleware
from voxfleet_gateway.server.peers import UNKNOWN, PeerPort, peer_app
from voxfleet_gateway.server.requests.origins import parse_origins
from voxfleet_gateway.settings import Settings
from voxfleet_gateway.telemetry import PEER_FAILURES

LINGERING_SECONDS = 2.0  # in which the rest of a refused body is dropped, so that its client reads the response
SERVER = "voxfleet"  # the header names no versions
BACKLOG = 1024  # connections of a burst that wait for the event loop; the kernel's somaxconn bounds it
LAST_SECONDS = 2.0  # after the drain, for the last bytes of open responses

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    api = await connect(settings.kubeconfig)
    try:
        async with open_gateway(settings, api) as gateway, listening(gateway):
            await run_until(gateway, ended)
    finally:
        await api.close()


async def run_until(gateway: Gateway, ended: asyncio.Event) -> None:
    """Run the gateway until `ended` is set, then drain it while its watches still run."""
    running = asyncio.create_task(gateway.run(), name="gateway")
    waiting = asyncio.create_task(ended.wait(), name="ended")
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # raises: a watch failed by a programming error; Kubernetes restarts the process
        log.info("draining", drain_seconds=gateway.settings.drain_seconds)
        await gateway.drain()
    finally:
        waiting.cancel()
        running.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)


@asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[dict[str, int]]:
    """Open the ports and yield them by name; leaving the context closes them and what is still open."""
    settings = gateway.settings
    # Also for the responses of aiohttp's own parser, which no handler sees.
    web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]
    apps = _apps(gateway)
    _check_origins(settings)
    certificates = _certificates(settings)
    following = asyncio.create_task(certificates.follow(), name="certificate") if certificates else None
    contexts = {"api": certificates.context} if certificates else {}
    if (peering := gateway.peering) is not None:
        contexts["peers"] = peering.tls.listening
    runners: list[web.AppRunner] = []
    ports: dict[str, int] = {}
    try:
        for name, (app, port) in apps.items():
            runner = _runner(app, settings)
            runners.append(runner)
            await runner.setup()
            listening_on = listening_socket(settings.host, port)
            ports[name] = listening_on.getsockname()[1]
            await _site(name, runner, listening_on, gateway, contexts.get(name)).start()
        log.info("listening", ports=ports, region=settings.region, gateway=settings.pod_name)
        yield ports
    finally:
        if following is not None:
            following.cancel()
        for runner in runners:
            await runner.cleanup()


def _apps(gateway: Gateway) -> dict[str, tuple[web.Application, int]]:
    """Return the applications and their ports, by name; `peers` is there where the gateway has peers."""
    settings = gateway.settings
    apps = {
        "api": (
            public_app(
                settings,
                gateway.speech,
                gateway.live,
                gateway.models,
                gateway.voices,
                gateway.health,
                gateway.clients,
                gateway.fleet_page.events,
            ),
            settings.port,
        ),
        "metrics": (metrics_app(gateway.refresh_gauges), settings.metrics_port),
        "internal": (
            internal_app(
                settings,
                gateway.fleet,
                HandoverHandler(settings, gateway.speech),
                gateway.internal_voices,
                gateway.health,
                gateway.clients,
                gateway.peering,
                gateway.fleet_page.handler,
            ),
            settings.internal_port,
        ),
    }
    if (peering := gateway.peering) is not None:
        apps["peers"] = _peer_app(gateway, peering), settings.peer_port
    return apps


def _runner(app: web.Application, settings: Settings) -> web.AppRunner:
    return web.AppRunner(
        app,
        handler_cancellation=True,  # a client that leaves cancels its handler, and with it the pod's work
        access_log=None,
        keepalive_timeout=settings.keep_alive_seconds,
        auto_decompress=False,  # an encoded body is refused by its header, and never inflated
        lingering_time=LINGERING_SECONDS,
        shutdown_timeout=LAST_SECONDS,
    )


def _peer_app(gateway: Gateway, peering: Peering) -> web.Application:
    """Return the application of the port for gateways of other regions."""
    settings, health, speech = gateway.settings, gateway.health, gateway.speech
    replicas = gateway.fleet_page.replicas

    def report() -> bytes:
        replicas.begin(has_decisions=False)
        return format_report(own_report(gateway.fleet, settings.pod_name, replicas.held()))

    port = PeerPort(
        peering.tls,
        peering.regions.known,
        settings.region,
        report,
        RttAnswers(gateway.clients.rtt.store),
        lambda: health.is_draining,
    )
    requests = RequestMiddleware(settings, health, speech.accounts)
    voices, stored = gateway.voices, gateway.internal_voices
    return peer_app(port, requests, speech, gateway.live, gateway.models, voices, stored)


def _site(
    name: str, runner: web.AppRunner, listening_on: socket.socket, gateway: Gateway, context: ssl.SSLContext | None
) -> web.BaseSite:
    """Return the site of a port: of the API's with TLS and PROXY headers, where they are set.

    The port for peers is open to any client until its handshake is complete, so handshakes are bounded.
    """
    if name == "peers":
        drops = PEER_FAILURES.labels(UNKNOWN, "handshakes")
        return ProxiedSite(runner, listening_on, ProxiedConnections(()), context, drops.inc)
    if name == "api" and gateway.settings.proxy_protocol:
        return ProxiedSite(runner, listening_on, gateway.clients.proxied, context)
    return web.SockSite(runner, listening_on, ssl_context=context)


def _check_origins(settings: Settings) -> None:
    """Read the allowed origins once. Raises SettingsError."""
    try:
        parse_origins(settings.allowed_origins)
    except ValueError as error:
        raise SettingsError(f"VOXFLEET_ALLOWED_ORIGINS (--allowed-origins): {error}") from error


def _certificates(settings: Settings) -> Certificates | None:
    """Return the loaded certificate; None for plain HTTP. Raises SettingsError."""
    if not settings.tls_certificate:
        return None
    certificates = Certificates(Path(settings.tls_certificate), Path(settings.tls_key))
    certificates.load()
    return certificates


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; of IPv4 and IPv6 for an empty host, where the machine has both."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    if not socket.has_dualstack_ipv6():
        return socket.create_server(("", port), backlog=BACKLOG)
    return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)


def metrics_app(refresh_gauges: Callable[[], None]) -> web.Application:
    """Return the application of port 9090; `refresh_gauges` is called before each scrape."""
    writing = asyncio.Lock()  # gauges are cleared before they are set: another scrape must not write them meanwhile

    async def metrics(_request: web.Request) -> web.Response:
        async with writing:
            refresh_gauges()
            # 10,000 lines take some 100 ms, which requests must not wait for.
            body = await asyncio.to_thread(generate_latest)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    return app
