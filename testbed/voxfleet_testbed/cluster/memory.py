"""A tmpfs for a node's images where memory suffices: on a slow disk their import takes most of a start.

Knows: /proc/meminfo and tmpfs. traces.py unmounts it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from voxfleet_testbed.errors import StartError

SPARE_BYTES = 6 * 1024**3  # two nodes' images (1.4 GiB) beside a test's engines


def has_memory_to_spare(meminfo: str) -> bool:
    """Return whether enough memory is available for a node's images (about 0.7 GiB); `meminfo` is /proc/meminfo."""
    return available_bytes(meminfo) >= SPARE_BYTES


def available_bytes(meminfo: str) -> int:
    """Return MemAvailable of /proc/meminfo in bytes, 0 when it is missing."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def mount_in_memory(folder: Path) -> None:
    """Mount a tmpfs, which takes memory only for what is written.

    Raises:
        StartError: mount failed.
    """
    command = ("mount", "-t", "tmpfs", "-o", "mode=0755", "voxfleet-testbed", str(folder))
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise StartError(f"`{' '.join(command)}` failed: {finished.stderr.strip()}")
