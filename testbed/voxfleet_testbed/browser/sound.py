"""A sound device without a sound: PulseAudio with a sink that drops what it plays, at the speed of a loudspeaker.

Firefox starts no audio output on a machine without a device, which a container is; Chromium brings a device of its own.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from voxfleet_testbed.errors import StartError
from voxfleet_testbed.supervision.processes import KILLED_WITH_CALLER

START_SECONDS = 30.0
POLL_SECONDS = 0.05


@contextmanager
def silent_sound() -> Iterator[dict[str, str]]:
    """Run the device; yield the environment of a program that is to play into it."""
    with TemporaryDirectory(prefix="pulse-") as folder:
        socket = Path(folder) / "socket"
        modules = ("module-null-sink", f"module-native-protocol-unix socket={socket} auth-anonymous=1")
        command = [*KILLED_WITH_CALLER, "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += [f"--load={module}" for module in modules]
        environment = {**os.environ, "HOME": folder, "XDG_RUNTIME_DIR": folder}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_for_file(socket, process)
            yield {"PULSE_SERVER": f"unix:{socket}"}
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def wait_for_file(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has made a file.

    Raises:
        StartError: the process has ended, or takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"{process.args!r} did not make {path} within {START_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
