"""The lines of docs/running-the-server.md that build and run the image for CPUs, for the engine and ports of a test.

Knows: the page's form. Does not know: what the lines do.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/running-the-server.md"
TAG = "voxfleet-inference:0.1.0-cpu"
PORT = "6006:6006"
VOICES = "voices:/voices"


def arguments(command: str, **replaced: str) -> list[str]:
    """Return the arguments of the page's only `docker COMMAND` line that names the image for CPUs.

    Args:
        command: build or run.
        replaced: words of the line, and what a test needs in their place: `tag`, `port`, `voices`.
    """
    joined = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in re.findall(rf"^docker {command} .*$", joined, re.MULTILINE) if TAG in line]
    [line] = lines
    words = shlex.split(line)[1:]
    known = {"tag": TAG, "port": PORT, "voices": VOICES}
    swapped = {known[name]: value for name, value in replaced.items()}
    assert swapped.keys() <= set(words), f"{line} lacks one of {set(swapped)}"
    return [swapped.get(word, word) for word in words]


def flags_of_gpu_line() -> set[str]:
    """Return the words before the image in the line for GPUs, which no test can run here."""
    joined = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = re.findall(r"^docker run .*--gpus.*$", joined, re.MULTILINE)
    return set(shlex.split(line)[1:])
