"""Give the machine its kernel settings back: every kubelet changes five of them, which belong to no namespace.

Does: notes the values before the first cluster, restores them after the last. Knows: which ones the kubelet sets.
Standard library only.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

NAMES = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
SETTINGS = Path("/proc/sys")
NOTE = Path("/run/lock/voxfleet-testbed-kernel.json")
CGROUPS = Path("/sys/fs/cgroup")


def note_kernel_settings(settings: Path = SETTINGS, note: Path = NOTE) -> None:
    """Before a cluster starts: write the values down, unless an earlier cluster that still runs did."""
    note.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError), note.open("x") as file:
        json.dump({name: (settings / name).read_text().strip() for name in NAMES}, file)


def restore_kernel_settings(settings: Path = SETTINGS, note: Path = NOTE, cgroups: Path = CGROUPS) -> None:
    """After a cluster is gone: restore the values, unless another cluster (its cgroups say so) still runs."""
    if any(cgroups.glob("voxfleet-*")) or any(cgroups.glob("*/voxfleet-*")):
        return
    for name, value in _noted(note).items():
        with contextlib.suppress(OSError):
            (settings / name).write_text(value)
    with contextlib.suppress(OSError):  # root's note, seen by another user
        note.unlink(missing_ok=True)


def _noted(note: Path) -> Mapping[str, str]:
    try:
        noted: Mapping[str, str] = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return noted
