"""A cgroup in every hierarchy, so that each node's pods are limited, and found, under the run's name.

Knows: cgroup v1 (one tree per controller) and v2 (one tree). traces.py removes these cgroups.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def make_cgroup(path: str, root: Path = CGROUPS) -> None:
    """Make a cgroup such as `/voxfleet-1a2b3c4d/eu-1` and its parents in every hierarchy."""
    unified = root / "cgroup.controllers"  # only v2 has this file at its root
    hierarchies = [root] if unified.exists() else [folder for folder in root.iterdir() if folder.is_dir()]
    for hierarchy in hierarchies:
        folder = hierarchy
        for part in path.strip("/").split("/"):
            _delegate(folder)  # before the child exists: a child gets the controllers that its parent delegates
            folder = folder / part
            folder.mkdir(exist_ok=True)
            _inherit_cpus(folder)


def processes_in(path: str, root: Path = CGROUPS) -> set[int]:
    """Return the ids of all processes in a cgroup and those below it, in any hierarchy."""
    found: set[int] = set()
    for prefix in ("", "*/"):
        for listed in root.glob(f"{prefix}{path.strip('/')}/**/cgroup.procs"):
            with contextlib.suppress(OSError):  # a pod that ends takes its cgroup with it
                found.update(map(int, listed.read_text().split()))
    return found


def _delegate(folder: Path) -> None:
    """Enable, in v2, the controllers that the kubelet needs for a group's children; in v1 there is nothing to do."""
    control = folder / "cgroup.subtree_control"
    if not control.exists():
        return
    available = (folder / "cgroup.controllers").read_text().split()
    wanted = [name for name in ("cpuset", "cpu", "io", "memory", "pids", "hugetlb") if name in available]
    if wanted:
        control.write_text(" ".join(f"+{name}" for name in wanted))


def _inherit_cpus(folder: Path) -> None:
    """Copy, in v1, the parent's cpuset: a new one is empty, and no process can run in it."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, parent = folder / name, folder.parent / name
        # Only v1 has cgroup.clone_children; in v2 an empty cpuset means that of the parent.
        if (folder / "cgroup.clone_children").exists() and own.exists() and not own.read_text().strip():
            own.write_text(parent.read_text())
