"""Keep a node's images in memory where there is plenty: on a slow disk importing them takes most of a start.

Knows: /proc/meminfo and tmpfs. traces.py unmounts what is mounted here.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from voxfleet_testbed.errors import StartError

SPARE_BYTES = 6 * 1024**3


def has_memory_to_spare(meminfo: str) -> bool:
    """Whether the text of /proc/meminfo leaves room for a node's images (about 0.7 GiB) beside everything else."""
    return available_bytes(meminfo) >= SPARE_BYTES


def available_bytes(meminfo: str) -> int:
    """What the kernel says new work may use."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def mount_in_memory(folder: Path) -> None:
    """Mount a tmpfs; it takes memory only for what is written."""
    command = ("mount", "-t", "tmpfs", "-o", "mode=0755", "voxfleet-testbed", str(folder))
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise StartError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
