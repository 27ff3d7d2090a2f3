"""Starts engine processes, the first of them before the server imports its own packages.

Knows: the command line of an engine process, and the socket between the two. Both sides import for seconds, on two
processors at the same time if the engine process starts first; so this module imports the standard library alone.
Does not know: what is sent over the socket.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class SpawnedEngine:
    """An engine process that waits for its settings, and this side's end of its socket."""

    process: subprocess.Popen[bytes]
    socket: socket.socket


def spawn_engine() -> SpawnedEngine:
    """Start an engine process.

    Raises:
        OSError: none can be started.
    """
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "voxfleet_inference.worker", str(theirs.fileno())]
    with theirs:
        return SpawnedEngine(subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL), ours)


@dataclass(slots=True)
class EarlyEngine:
    """At most one engine process that was started before its settings were known."""

    _spawned: list[SpawnedEngine] = field(default_factory=list)

    def spawn(self) -> None:
        """Start it; an error is left to `take`, which tries again."""
        try:
            self._spawned.append(spawn_engine())
        except OSError:
            return

    def take(self) -> SpawnedEngine:
        """Return the early process, or a new one when there is none, or it has ended.

        Raises:
            OSError: none can be started.
        """
        if self._spawned:
            early = self._spawned.pop()
            if early.process.poll() is None:
                return early
            early.socket.close()
        return spawn_engine()

    def end_unused(self) -> None:
        """Kill it unless it was taken."""
        while self._spawned:
            unused = self._spawned.pop()
            unused.socket.close()
            unused.process.kill()
            unused.process.wait()


EARLY_ENGINE: Final = EarlyEngine()  # of this process: `main` starts it, the server takes it
