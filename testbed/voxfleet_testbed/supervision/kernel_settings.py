"""The five kernel settings that every kubelet changes for the whole machine, saved and restored.

Does: saves the values before the first cluster, restores them after the last. Knows: which settings the kubelet
changes. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

# What the kubelet sets for its own protection (kubernetes: pkg/kubelet/cm, setupKernelTunables); no namespace has them.
NAMES = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
SETTINGS = Path("/proc/sys")
SAVED = Path("/run/lock/voxfleet-testbed-kernel.json")
CGROUPS = Path("/sys/fs/cgroup")


def save_kernel_settings(settings: Path = SETTINGS, saved: Path = SAVED) -> None:
    """Save the values before a cluster starts; does nothing if a running cluster has saved them."""
    saved.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError), saved.open("x") as file:
        json.dump({name: (settings / name).read_text().strip() for name in NAMES}, file)


def restore_kernel_settings(settings: Path = SETTINGS, saved: Path = SAVED, cgroups: Path = CGROUPS) -> None:
    """Restore the values after a cluster ended; does nothing while another cluster has cgroups."""
    if any(cgroups.glob("voxfleet-*")) or any(cgroups.glob("*/voxfleet-*")):  # cgroup v2, v1
        return
    for name, value in _read_saved(saved).items():
        with contextlib.suppress(OSError):
            (settings / name).write_text(value)
    with contextlib.suppress(OSError):  # root's file, another user's cluster
        saved.unlink(missing_ok=True)


def _read_saved(saved: Path) -> Mapping[str, str]:
    try:
        values: Mapping[str, str] = json.loads(saved.read_text())
    except (OSError, ValueError):
        return {}
    return values
