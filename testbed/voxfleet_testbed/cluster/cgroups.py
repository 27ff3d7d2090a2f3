"""Make a cgroup in every hierarchy, so that each node's pods are counted, and found, under the run's own name.

Knows: cgroup v1 (one tree per controller) and v2 (one tree). traces.py removes what is made here.
"""

from __future__ import annotations

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def make_cgroup(path: str, root: Path = CGROUPS) -> None:
    """Make `/a/b` step by step in every hierarchy."""
    unified = root / "cgroup.controllers"
    hierarchies = [root] if unified.exists() else [folder for folder in root.iterdir() if folder.is_dir()]
    for hierarchy in hierarchies:
        folder = hierarchy
        for part in path.strip("/").split("/"):
            _delegate(folder)
            folder = folder / part
            folder.mkdir(exist_ok=True)
            _inherit_cpus(folder)


def _delegate(folder: Path) -> None:
    """In v2 a group's controllers must be handed down; the kubelet needs these."""
    control = folder / "cgroup.subtree_control"
    if not control.exists():
        return
    available = (folder / "cgroup.controllers").read_text().split()
    wanted = [name for name in ("cpuset", "cpu", "io", "memory", "pids", "hugetlb") if name in available]
    if wanted:
        control.write_text(" ".join(f"+{name}" for name in wanted))


def _inherit_cpus(folder: Path) -> None:
    """In v1 a new cpuset is empty, and nothing may run in it until it is filled."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, parent = folder / name, folder.parent / name
        if (folder / "cgroup.clone_children").exists() and own.exists() and not own.read_text().strip():
            own.write_text(parent.read_text())
