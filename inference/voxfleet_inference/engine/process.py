"""The engine in a process of its own, at the end of one pipe.

Knows: how to start that process, the order of reports (Loaded or LoadFailed first), and what ends it: Stop, or the
pipe's other end going away.
Does not know: HTTP, or what is inside a model.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
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

WRONG_WEIGHTS_EXIT_CODE: Final = 3

CodecDtype = Literal["fp32", "tf32", "bf16"]
_logger: Final = logging.getLogger(__name__)
_PREFILL_TOKENS: Final = {"cuda": 512, "cpu": 16}  # docs/measuring.md says why 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What the engine process is told first."""

    model_path: Path
    device: str = "cpu"
    dtype: str = "float32"
    limits: Limits
    cpu_threads: int = 0
    kv_cache_positions: int = 0  # 0: as many as the machine has room for
    deterministic: bool = False
    vae_dtype: Literal["auto"] | CodecDtype = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def prefill_tokens(device: str, asked: int = 0) -> int:
    """How many positions of a prompt one step reads: what was asked for, else what the device does in a moment."""
    return asked or _PREFILL_TOKENS[device]


class WrongWeightsError(Exception):
    """A checkpoint that cannot be loaded; the message names file, tensor and shapes."""


Loader = Callable[[EngineSettings], tuple[ModelBackend, Loaded]]


def serve_connection(connection: Connection, load: Loader) -> int:
    """Read the settings, load, then decode until told to stop; returns the process's exit code."""
    settings: EngineSettings = connection.recv()
    report = _Reporter(connection)
    started = time.monotonic()
    try:
        model, loaded = load(settings)
    except WrongWeightsError as error:
        report(LoadFailed(str(error)))
        return WRONG_WEIGHTS_EXIT_CODE
    engine = Engine(model, settings.limits, 1 / loaded.token_rate, report)
    report(replace(loaded, loaded_seconds=time.monotonic() - started))
    threading.Thread(target=_listen, args=(connection, engine), daemon=True, name="commands").start()
    engine.run()
    return 0


def start_engine_process(settings: EngineSettings) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the child and hand it its settings."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "voxfleet_inference.worker", str(theirs.fileno()), settings.log_level]
    with theirs:
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    connection = Connection(ours.detach())
    connection.send(settings)
    return process, connection


def shut_down(connection: Connection) -> None:
    """End a pipe for both sides, and keep its descriptor's number until nobody has the connection any more.

    A freed number is given to whatever is opened next, which then loses bytes to a thread that was about to read.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        pipe.shutdown(socket.SHUT_RDWR)


class _Reporter:
    """Sends reports from any thread, whole and in order; a gone reader is the listener's business."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def __call__(self, report: Report) -> None:
        with self._lock:
            try:
                self._connection.send(report)
            except OSError:
                return


def _listen(connection: Connection, engine: Engine) -> None:
    """Pass commands on until the other end is gone, which means Stop; so does what cannot be read."""
    try:
        while True:
            engine.enqueue(connection.recv())
    except (EOFError, OSError):
        engine.enqueue(Stop())
    except Exception:
        _logger.exception("the server sent what cannot be read")
        engine.enqueue(Stop())
