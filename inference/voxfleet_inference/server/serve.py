"""Runs the server: sockets, the engine process, three ports on one event loop, signals and the exit code.

Knows: how the server ends when a port is in use, the weights are wrong, the engine fails, or SIGTERM arrives.
Does not know: requests, audio or models.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Final

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from voxfleet_inference.admission.api_keys import ApiKeys, ApiKeysError
from voxfleet_inference.admission.connections import BoundedConnection, allow_many_connections
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.process import EngineSettings, prefill_tokens, shut_down, start_engine_process
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.logs import configure_logging
from voxfleet_inference.server.api import speech_app
from voxfleet_inference.server.engine_supervisor import EngineControl, Failure
from voxfleet_inference.server.internal import internal_app, metrics_app
from voxfleet_inference.server.service import SpeechService, make_service
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.gpu import GpuReader, watch_gpu
from voxfleet_inference.telemetry.metrics import GpuMetrics
from voxfleet_inference.text import normalization

CANNOT_START_EXIT_CODE: Final = 2
_SHOW_FAILURE_SECONDS: Final = 2.0  # HTTP keeps answering so long, so that a probe or client reads the message
_CLOSE_CONNECTIONS_SECONDS: Final = 2
_ENGINE_STOP_SECONDS: Final = 1.0  # an idle engine ends within milliseconds of Stop
_ENGINE_DIE_SECONDS: Final = 30.0  # a GPU driver may delay the end of a killed process, even for ever
_GPU_WATCH_SECONDS: Final = 1.0
_BACKLOG: Final = 2048  # connections that wait for accept(); uvicorn's default
_logger: Final = structlog.get_logger("voxfleet_inference")


class PortInUseError(Exception):
    """A port cannot be bound; the message names the flag that chooses another."""


def serve(settings: ServeSettings) -> int:
    """Serve until SIGTERM, SIGINT or a failure; return the exit code."""
    configure_logging(settings.log_level)
    allow_many_connections()
    try:
        api_keys = ApiKeys(settings.api_keys_file) if settings.api_keys_file else None
        sockets = _bind_all(settings)
    except (PortInUseError, ApiKeysError) as error:
        _write_error(str(error))
        return CANNOT_START_EXIT_CODE
    engine = EngineProcess(engine_settings(settings))  # before the event loop: weights load while HTTP starts
    try:
        exit_code: int = uvloop.run(_serve(settings, sockets, engine, api_keys))
    finally:
        engine.end()
    return exit_code


class EngineProcess:
    """The current engine process, and the pipe to it."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._process, self.connection = start_engine_process(settings)

    def kill(self) -> None:
        """Send SIGKILL; the pipe closes when the process has ended."""
        self._process.kill()

    def restart(self) -> None:
        """Kill the process, wait until its memory is free, and start another.

        Raises:
            OSError: the old process does not end, or no other can be started.
        """
        self._process.kill()
        try:
            exit_code = self._process.wait(_ENGINE_DIE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self._process.pid} does not end after a kill") from error
        _logger.error("engine_process_ended", exit_code=exit_code)
        shut_down(self.connection)  # the old client's threads may still be about to use it
        self._process, self.connection = start_engine_process(self._settings)

    def end(self) -> None:
        """Wait for the process to end after Stop; kill it when it takes longer than a second."""
        for seconds in (_ENGINE_STOP_SECONDS, _ENGINE_DIE_SECONDS):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return
            self._process.kill()


async def _serve(
    settings: ServeSettings, sockets: list[socket.socket], engine: EngineProcess, api_keys: ApiKeys | None
) -> int:
    stopping, failed = _signals(), asyncio.get_running_loop().create_future()

    def connect() -> EngineClient:
        client = EngineClient(engine.connection, service.supervisor.observe)
        client.start()
        return client

    async def restart() -> EngineClient:
        await asyncio.to_thread(engine.restart)
        return connect()

    service = make_service(settings, failed.set_result, EngineControl(engine.kill, restart))
    metrics, supervisor = service.tracker.metrics, service.supervisor
    supervisor.attach(connect())
    speech = speech_app(service, api_keys)
    apps = (speech, metrics_app(metrics.registry), internal_app(service))
    watching = (_watch_gpu(settings.device, metrics.gpu), asyncio.create_task(supervisor.watch()))
    loading = asyncio.create_task(asyncio.to_thread(normalization.load))  # while the model is loaded
    servers = [QuietServer(uvicorn_config(app, settings.max_body_bytes)) for app in apps]
    serving = [asyncio.create_task(each.serve([bound])) for each, bound in zip(servers, sockets, strict=True)]
    await asyncio.wait({asyncio.ensure_future(stopping.wait()), failed}, return_when=asyncio.FIRST_COMPLETED)
    exit_code = await _show_failure(settings, failed.result()) if failed.done() else await _drain(service)
    await speech.state.rtc.close()
    for each in servers:
        each.should_exit = True
    await asyncio.wait(serving, timeout=_CLOSE_CONNECTIONS_SECONDS + 1)  # uvicorn closes connections before that
    supervisor.engine.close()
    for task in (*watching, loading):
        task.cancel()
    return exit_code


def _watch_gpu(device: str, metrics: GpuMetrics) -> asyncio.Task[None]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    watching = watch_gpu(lambda: GpuReader(visible, device), metrics.read, _GPU_WATCH_SECONDS)
    return asyncio.create_task(watching)


class QuietServer(uvicorn.Server):
    """A uvicorn server without signal handlers: three of them share this process's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handler."""
        yield


def uvicorn_config(app: ASGIApp, max_message_bytes: int = 16 * 2**20) -> uvicorn.Config:
    """Return the configuration of one port's server."""
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="websockets-sansio",
        ws_max_size=max_message_bytes,
        ws_ping_timeout=None,  # a ping waits behind unread audio, so a late pong is no sign of a dead client
        ws_per_message_deflate=False,  # compressed audio gets no smaller, and pcm barely
        log_config=None,  # configure_logging() has set up the handlers
        access_log=False,  # RequestLog writes one line per request
        lifespan="off",  # the applications have no startup events
        server_header=False,
        timeout_keep_alive=75,  # longer than the usual 60 s of load balancers, so that they close first
        timeout_graceful_shutdown=_CLOSE_CONNECTIONS_SECONDS,
    )


def _bind_all(settings: ServeSettings) -> list[socket.socket]:
    """Bind the API's, the metrics' and the internal port; the internal one on loopback when it has no token."""
    internal_host = settings.host if settings.internal_token_sha256 else "127.0.0.1"
    wanted = (
        ("--port", settings.host, settings.port),
        ("--metrics-port", settings.host, settings.metrics_port),
        ("--internal-port", internal_host, settings.internal_port),
    )
    return [_bind(*each) for each in wanted]


def _bind(flag: str, host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortInUseError(
            f"cannot listen on {host} port {port}: {error.strerror}; stop the process that uses it, or choose another"
            f" port with {flag}"
        ) from error
    bound.listen(_BACKLOG)
    return bound


def _signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _drain(service: SpeechService) -> int:
    """Report not ready at once, then wait for open requests, at most `drain_seconds`."""
    service.supervisor.drain(enabled=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.settings.drain_seconds):
            await service.tracker.idle.wait()
    return 0


async def _show_failure(settings: ServeSettings, failure: Failure) -> int:
    """Write the message to stderr and the pod's termination log, and keep it at /health for two seconds."""
    _write_error(failure.message)
    with contextlib.suppress(OSError):
        settings.termination_log.write_text(failure.message + "\n", encoding="utf-8")
    await asyncio.sleep(_SHOW_FAILURE_SECONDS)
    return failure.exit_code


def engine_settings(settings: ServeSettings) -> EngineSettings:
    """Return the engine's settings: those of the server that have the same name, and the scheduler's limits."""
    # Every admitted request may have all its parallel sentences in the engine's queue.
    waiting = (settings.max_batch_size + settings.max_queued_requests) * settings.max_parallel_sentences
    limits = Limits(
        max_rows=settings.max_batch_size,
        max_waiting=waiting,
        max_prefill_tokens=prefill_tokens(settings.device, settings.max_prefill_tokens),
        max_parallel_sentences=settings.max_parallel_sentences,
    )
    same_names = (each.name for each in fields(EngineSettings) if each.name != "limits")
    return EngineSettings(limits=limits, **{name: getattr(settings, name) for name in same_names})


def _write_error(message: str) -> None:
    sys.stderr.write(f"voxfleet-inference: {message}\n")
    sys.stderr.flush()
