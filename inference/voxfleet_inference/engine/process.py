"""Both ends of the engine process: starting it, and serving its pipe.

Knows: the settings it is started with, the order of reports (Loaded or LoadFailed first), and what ends it: a Stop, or
the end of the pipe.
Does not know: HTTP, or what a model does.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal

from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import Loaded, LoadFailed, Report, Stop
from voxfleet_inference.engine.model_backend import ModelBackend
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.engine.spawning import EARLY_ENGINE

WRONG_WEIGHTS_EXIT_CODE: Final = 3  # so that the server's process exits with a code of its own: a restart cannot help

CodecDtype = Literal["fp32", "tf32", "bf16"]
_logger: Final = logging.getLogger(__name__)
# A chunk that a device reads in about the time of one step. docs/measuring.md has the table behind the CPU's 16.
_PREFILL_TOKENS: Final = {"cuda": 512, "cpu": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The first message on the pipe: what to load, and the scheduler's limits."""

    model_path: Path
    device: str = "cpu"
    dtype: str = "float32"
    limits: Limits
    cpu_threads: int = 0  # 0: by the model's size and the processors that are granted
    kv_cache_positions: int = 0  # 0: as many as fit into the device's memory
    deterministic: bool = False
    vae_dtype: Literal["auto"] | CodecDtype = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def prefill_tokens(device: str, asked: int = 0) -> int:
    """Prompt positions to read in one step: `asked`, or the device's default for 0."""
    return asked or _PREFILL_TOKENS[device]


class WrongWeightsError(Exception):
    """A checkpoint that cannot be loaded; the message names file, tensor and shapes."""


Loader = Callable[[EngineSettings], tuple[ModelBackend, Loaded]]


def serve_connection(connection: Connection, load: Loader) -> int:
    """Read the settings, load the model, then run the engine until a Stop; returns the process's exit code."""
    try:
        settings: EngineSettings = connection.recv()
    except EOFError:
        return 0  # the server ended before it had settings: a wrong flag, or a port in use
    report = _Reporter(connection)
    started = time.monotonic()
    try:
        model, loaded = load(settings)
    except WrongWeightsError as error:
        report(LoadFailed(str(error)))
        return WRONG_WEIGHTS_EXIT_CODE
    engine = Engine(model, settings.limits, 1 / loaded.token_rate, report)
    report(replace(loaded, loaded_seconds=time.monotonic() - started, load_started_at=started))
    threading.Thread(target=_read_commands, args=(connection, engine), daemon=True, name="commands").start()
    engine.run()
    return 0


def start_engine_process(settings: EngineSettings) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the engine process, or take the one that was started early, and send its settings.

    Returns it with this end of the pipe.

    Raises:
        OSError: none can be started.
    """
    spawned = EARLY_ENGINE.take()
    connection = Connection(spawned.socket.detach())
    connection.send(settings)
    return spawned.process, connection


def shut_down(connection: Connection) -> None:
    """End a pipe for both sides without closing this side's file descriptor.

    A closed descriptor's number is given to the next file or socket that is opened, and a thread that is about to read
    the pipe would read from that one.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        pipe.shutdown(socket.SHUT_RDWR)


class _Reporter:
    """Sends reports from any thread, one at a time; errors are ignored, because `_read_commands` sees the same end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def __call__(self, report: Report) -> None:
        with self._lock:
            try:
                self._connection.send(report)
            except OSError:
                return


def _read_commands(connection: Connection, engine: Engine) -> None:
    """Enqueue commands until the pipe ends; its end, and a message that cannot be unpickled, mean Stop."""
    try:
        while True:
            engine.enqueue(connection.recv())
    except (EOFError, OSError):
        engine.enqueue(Stop())
    except Exception:
        _logger.exception("a command cannot be unpickled; stopping the engine")
        engine.enqueue(Stop())
