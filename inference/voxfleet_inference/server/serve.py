"""Runs the server: sockets, the engine process, three ports on one event loop, signals and the exit code.

Knows: what to do when a port is taken, the weights are wrong, the engine dies or hangs, or SIGTERM comes.
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
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.gpu import GpuReader, watch_gpu

CANNOT_START_EXIT_CODE: Final = 2
_TELL_FAILURE_SECONDS: Final = 2.0
_CLOSE_CONNECTIONS_SECONDS: Final = 2
_ENGINE_STOP_SECONDS: Final = 1.0
_ENGINE_DIE_SECONDS: Final = 30.0  # a driver may hold a killed process back, even for ever
_GPU_WATCH_SECONDS: Final = 1.0
_BACKLOG: Final = 2048
_logger: Final = structlog.get_logger("voxfleet_inference")


class PortInUseError(Exception):
    """A port cannot be bound; the message says which and what to do."""


def serve(settings: ServeSettings) -> int:
    """Serve until told to stop; returns the exit code."""
    configure_logging(settings.log_level)
    allow_many_connections()
    try:
        api_keys = ApiKeys(settings.api_keys_file) if settings.api_keys_file else None
        sockets = _bind_all(settings)
    except (PortInUseError, ApiKeysError) as error:
        _say(str(error))
        return CANNOT_START_EXIT_CODE
    engine = EngineProcess(engine_settings(settings))
    try:
        exit_code: int = uvloop.run(_serve(settings, sockets, engine, api_keys))
    finally:
        engine.end()
    return exit_code


class EngineProcess:
    """The engine's process of this moment, and the pipe to it."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._process, self.connection = start_engine_process(settings)

    def kill(self) -> None:
        """End it, whatever it does; the pipe tells when it is gone."""
        self._process.kill()

    def restart(self) -> None:
        """Start another one, once the old one is gone and what it held is free.

        Raises:
            OSError: the old one does not end, or no other can be started.
        """
        self._process.kill()
        try:
            exit_code = self._process.wait(_ENGINE_DIE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self._process.pid} was killed and does not end") from error
        _logger.error("the engine process has ended", exit_code=exit_code)
        shut_down(self.connection)  # the old client's threads may still be about to use it
        self._process, self.connection = start_engine_process(self._settings)

    def end(self) -> None:
        """The engine ends by itself when told; one that does not is killed, and not waited for longer than it takes."""
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
        client = EngineClient(engine.connection, service.observe)
        client.start()
        return client

    async def restart() -> EngineClient:
        await asyncio.to_thread(engine.restart)
        return connect()

    service = SpeechService(settings, failed.set_result, EngineControl(engine.kill, restart))
    service.attach(connect())
    apps = (speech_app(service, api_keys), metrics_app(service), internal_app(service))
    watching = (_watch_gpu(settings, service), asyncio.create_task(service.watch_engine()))
    servers = [QuietServer(uvicorn_config(app, settings.max_body_bytes)) for app in apps]
    serving = [asyncio.create_task(each.serve([bound])) for each, bound in zip(servers, sockets, strict=True)]
    await asyncio.wait({asyncio.ensure_future(stopping.wait()), failed}, return_when=asyncio.FIRST_COMPLETED)
    exit_code = await _tell_failure(settings, failed.result()) if failed.done() else await _drain(service)
    for each in servers:
        each.should_exit = True
    await asyncio.wait(serving, timeout=_CLOSE_CONNECTIONS_SECONDS + 1)
    service.engine.close()
    for watch in watching:
        watch.cancel()
    return exit_code


def _watch_gpu(settings: ServeSettings, service: SpeechService) -> asyncio.Task[None]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    watching = watch_gpu(lambda: GpuReader(visible, settings.device), service.gpu_was_read, _GPU_WATCH_SECONDS)
    return asyncio.create_task(watching)


class QuietServer(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing to capture."""
        yield


def uvicorn_config(app: ASGIApp, max_message_bytes: int = 16 * 2**20) -> uvicorn.Config:
    """How each of the ports is served."""
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="websockets-sansio",
        ws_max_size=max_message_bytes,
        ws_ping_timeout=None,  # a ping waits behind audio that is yet to be heard: a late answer is no death
        ws_per_message_deflate=False,  # audio does not get smaller
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_CLOSE_CONNECTIONS_SECONDS,
    )


def _bind_all(settings: ServeSettings) -> list[socket.socket]:
    """The API's, the metrics' and the internal socket; the internal one only on loopback without a token."""
    internal_host = settings.host if settings.internal_token_sha256 else "127.0.0.1"
    wanted = (
        ("--port", settings.host, settings.port),
        ("--metrics-port", settings.host, settings.metrics_port),
        ("--internal-port", internal_host, settings.internal_port),
    )
    return [_bind(*each) for each in wanted]


def _bind(flag: str, host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortInUseError(
            f"cannot listen on {host} port {port}: {error.strerror}; end what uses it or choose another with {flag}"
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
    """Not ready at once; open streams finish, for so long as the settings allow."""
    service.drain(enabled=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(service.settings.drain_seconds):
            await service.idle.wait()
    return 0


async def _tell_failure(settings: ServeSettings, failure: Failure) -> int:
    """Say why, wherever somebody may look: stderr, the pod's termination message, and for a while over HTTP."""
    _say(failure.message)
    with contextlib.suppress(OSError):
        settings.termination_log.write_text(failure.message + "\n", encoding="utf-8")
    await asyncio.sleep(_TELL_FAILURE_SECONDS)
    return failure.exit_code


def engine_settings(settings: ServeSettings) -> EngineSettings:
    """What of the settings is the engine's business."""
    waiting = (settings.max_batch_size + settings.max_queued_requests) * settings.max_parallel_sentences
    return EngineSettings(
        model_path=settings.model_path,
        device=settings.device,
        dtype=settings.dtype,
        limits=Limits(
            max_rows=settings.max_batch_size,
            max_waiting=waiting,
            max_prefill_tokens=prefill_tokens(settings.device, settings.max_prefill_tokens),
            max_parallel_sentences=settings.max_parallel_sentences,
        ),
        cpu_threads=settings.cpu_threads,
        log_level=settings.log_level,
        kv_cache_positions=settings.kv_cache_positions,
        deterministic=settings.deterministic,
        vae_dtype=settings.vae_dtype,
    )


def _say(message: str) -> None:
    sys.stderr.write(f"voxfleet-inference: {message}\n")
    sys.stderr.flush()
