"""Removal of what a run leaves on the machine (its traces): processes, mounts, interfaces, cgroups, files.

Does: finds each kind of trace by the run's names and removes it. Knows: /proc, /sys/fs/cgroup, and the paths outside
the run's folder that containerd, the kubelet and CNI write to. Does not know: what was started, so it needs no saved
state. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from voxfleet_testbed.supervision.kernel_settings import restore_kernel_settings
from voxfleet_testbed.supervision.run_folder import RUN_VARIABLE, RunFolder, creation_lock, find_runs, is_alive

CGROUPS = Path("/sys/fs/cgroup")
CNI_RESULTS = Path("/var/lib/cni/results")
LOG_LINKS = Path("/var/log/containers")
MNT_DETACH = 2  # sys/mount.h
KILL_ROUNDS = 100  # 10 s: a killed process may have to finish a write to a slow disk first
ROUND_SECONDS = 0.1


def sweep(runs: Path) -> list[str]:
    """Remove every run whose supervisor has ended; returns their ids."""
    if not runs.exists():
        return []
    with creation_lock(runs):
        stale = [run for run in find_runs(runs) if not is_alive(run)]
    for run in stale:
        remove_traces(run)
    return [run.run_id for run in stale]


def remove_traces(run: RunFolder) -> None:
    """Remove all traces of a run, its folder last."""
    # Processes first: they hold mounts, cgroups and the network namespace. The folder last: it names the rest.
    kill_processes(run)
    _remove_shim_sockets(run)
    _unmount_below(run.path)
    _remove_cni_results(run)
    _remove_log_links(run)
    _remove_network(run)
    _remove_cgroups(run)
    restore_kernel_settings()
    shutil.rmtree(run.path, ignore_errors=True)


def remaining_traces(run: RunFolder) -> list[str]:
    """Return a description of each trace of a run that is still on this machine."""
    return [
        *(f"process {pid}" for pid in run_processes(run)),
        *(f"mount {mount}" for mount in _mounts_below(run.path)),
        *(f"cgroup {cgroup}" for cgroup in _run_cgroups(run)),
        *(f"interface {path.name}" for path in Path("/sys/class/net").glob(f"{run.link_name}*")),
        *(f"log link {path.name}" for path in _log_links(run)),
        *(f"CNI result {path.name}" for path in _cni_results(run)),
        *([f"folder {run.path}"] if run.path.exists() else []),
    ]


def kill_processes(run: RunFolder) -> None:
    """Kill the run's processes until none is left; a process may fork between listing and killing."""
    for _round in range(KILL_ROUNDS):
        pids = run_processes(run)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _reap_children()
        time.sleep(ROUND_SECONDS)


def run_processes(run: RunFolder) -> set[int]:
    """Return the run's processes except this one: those with the run's variable, and those in its cgroups."""
    marked = {int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if _is_marked(path, run)}
    grouped = {pid for cgroup in _run_cgroups(run) for pid in _cgroup_members(cgroup)}
    return (marked | grouped) - {os.getpid()}


def _is_marked(environ: Path, run: RunFolder) -> bool:
    try:
        return f"{RUN_VARIABLE}={run.run_id}".encode() in environ.read_bytes().split(b"\0")
    except OSError:
        return False


def _cgroup_members(cgroup: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(pid) for pid in (cgroup / "cgroup.procs").read_text().split())


def _reap_children() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _run_cgroups(run: RunFolder) -> list[Path]:
    """Return the run's cgroups in every hierarchy (v1) or the only one (v2), deepest first: rmdir needs them empty."""
    roots = [path for pattern in ("", "*/") for path in CGROUPS.glob(f"{pattern}{run.trace_name}")]
    below = [Path(folder) for root in roots for folder, _names, _files in os.walk(root)]
    return sorted(set(below), key=lambda path: len(path.parts), reverse=True)


def _remove_cgroups(run: RunFolder) -> None:
    for _round in range(KILL_ROUNDS):
        cgroups = _run_cgroups(run)
        if not cgroups:
            return
        for cgroup in cgroups:
            with contextlib.suppress(OSError):
                cgroup.rmdir()
        time.sleep(ROUND_SECONDS / 10)


def _mounts_below(folder: Path) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    decoded = [point.encode().decode("unicode_escape") for point in points]
    return sorted((point for point in decoded if point.startswith(f"{folder}/")), key=len, reverse=True)


def _unmount_below(folder: Path) -> None:
    for _round in range(3):  # a mount may hide another of the same path
        for point in _mounts_below(folder):
            _unmount(point)


def _unmount(point: str) -> None:
    ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(point), MNT_DETACH)


def _remove_shim_sockets(run: RunFolder) -> None:
    """Remove the sockets that containerd's shims have outside its folders; each `address` file has a path."""
    for address in _found(run.path, "nodes/*/containerd/state/io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(OSError):
            socket = address.read_text().strip().removeprefix("unix://")
            if socket.startswith("/run/containerd/s/"):
                Path(socket).unlink(missing_ok=True)


def _cni_results(run: RunFolder) -> list[Path]:
    """Return CNI's result files, in one folder of the whole machine, that name a namespace in the run's folder."""
    return [path for path in _found(CNI_RESULTS, "*") if f"{run.path}/".encode() in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _remove_cni_results(run: RunFolder) -> None:
    for result in _cni_results(run):
        result.unlink(missing_ok=True)


def _log_links(run: RunFolder) -> list[Path]:
    """Return the kubelet's links, in one folder of the whole machine, to container logs in the run's folder."""
    links = [path for path in _found(LOG_LINKS, "*.log") if path.is_symlink()]
    return [link for link in links if str(link.readlink()).startswith(f"{run.path}/")]


def _remove_log_links(run: RunFolder) -> None:
    for link in _log_links(run):
        link.unlink(missing_ok=True)


def _found(folder: Path, pattern: str) -> list[Path]:
    """Return the matches; none where only root may read, because an unprivileged run cannot have written there."""
    try:
        return list(folder.glob(pattern))
    except PermissionError:
        return []


def _remove_network(run: RunFolder) -> None:
    """Delete this machine's end of the link, and with it the route; the namespace ended with its processes."""
    if Path("/sys/class/net", run.link_name).exists():
        subprocess.run(["ip", "link", "delete", run.link_name], check=False, capture_output=True)
