"""What leaves a browser's audio output: a PulseAudio server of our own with a null sink, and when its sound was loud.

A page cannot measure an audio element, which plays past its AudioContext; and an AudioContext that reads the element's
stream adds a buffer of its own. Here both arrive at one place.

Knows: Debian's packages pulseaudio and pulseaudio-utils. Does not know: browsers, or what is played.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, Final

import numpy as np

_LOUD: Final = 600  # of 32768: the detector's threshold in first_sound.js
_START_SECONDS: Final = 10.0
_NULL_SINK: Final = "module-null-sink sink_name=bench rate=48000"
_RECORD: Final = ("--device=bench.monitor", "--raw", "--format=s16le", "--rate=48000", "--channels=1")


@dataclass(slots=True)
class SoundOutput:
    """The environment in which a program plays here, and the moments at which it was loud."""

    environment: Mapping[str, str]
    _loud_at: list[float] = field(default_factory=list)

    def loud_milliseconds(self, since: float) -> list[float]:
        """Return when it was loud, in milliseconds after a moment, which is in milliseconds since 1970."""
        return [at - since for at in self._loud_at.copy() if at >= since]

    def read(self, recorded: IO[bytes] | None) -> None:
        """Note when samples are loud, until the recording ends."""
        while recorded and (block := os.read(recorded.fileno(), 4096)):
            if np.abs(np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.int32)).max(initial=0) > _LOUD:
                self._loud_at.append(1000 * time.time())


@contextmanager
def sound_output() -> Iterator[SoundOutput]:
    """Start the server and a recording of what it is given; both end with the context."""
    for program in ("pulseaudio", "parec"):
        if shutil.which(program) is None:
            raise FileNotFoundError(f"there is no {program} in PATH: install pulseaudio and pulseaudio-utils")
    with TemporaryDirectory() as folder:
        socket = Path(folder) / "socket"
        environment = {**os.environ, "PULSE_SERVER": f"unix:{socket}", "PULSE_RUNTIME_PATH": folder, "HOME": folder}
        modules = ["-L", _NULL_SINK, "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}"]
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=error"]
        server = subprocess.Popen(["pulseaudio", *options, *modules], env=environment)
        try:
            _wait_for(socket)
            yield from _recorded(environment)
        finally:
            server.terminate()
            server.wait(10)


def _recorded(environment: Mapping[str, str]) -> Iterator[SoundOutput]:
    output = SoundOutput(environment)
    command = ["parec", *_RECORD, "--latency-msec=5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as recording:
        reader = Thread(target=output.read, args=(recording.stdout,), daemon=True)
        reader.start()
        try:
            yield output
        finally:
            recording.terminate()
            reader.join(10)


def _wait_for(socket: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not socket.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("PulseAudio does not start; see what it has printed")
        time.sleep(0.05)
