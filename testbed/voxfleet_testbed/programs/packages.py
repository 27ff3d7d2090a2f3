"""What a cluster needs from this machine: root, and a few of the distribution's programs.

Does: says in one line what is missing; installs it on request. Knows: Debian's package names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.events import Report, ignore, phase

# A program (looked up on PATH, or an absolute path) and the Debian package that has it.
PACKAGE_OF: dict[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
APT_SECONDS = 600
Find = Callable[[str], bool]


def is_installed(program: str) -> bool:
    """Whether a program is there, also where only root's PATH looks."""
    if program.startswith("/"):
        return Path(program).exists()
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return shutil.which(program, path=path) is not None


def missing_packages(find: Find = is_installed) -> tuple[str, ...]:
    """The packages whose programs are not there, each once."""
    return tuple(dict.fromkeys(package for program, package in PACKAGE_OF.items() if not find(program)))


def require_cluster_prerequisites(user_id: int | None = None, find: Find = is_installed) -> None:
    """Say in one line what a cluster with nodes lacks here."""
    if (os.geteuid() if user_id is None else user_id) != 0:
        raise UnavailableError(
            "a cluster with nodes needs root (containers, networks): run with sudo, or set KUBECONFIG to one you have"
        )
    if packages := missing_packages(find):
        raise UnavailableError(
            f"missing packages: {' '.join(packages)}; install them with `python -m voxfleet_testbed packages`"
        )


def install_packages(report: Report = ignore) -> tuple[str, ...]:
    """Install what is missing with apt-get; returns what was installed."""
    packages = missing_packages()
    if not packages:
        return ()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"installing packages needs root and apt-get; missing are: {' '.join(packages)}")
    with phase(report, "packages") as progress:
        progress(" ".join(packages), None)
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", *packages)
    return packages


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    finished = subprocess.run(
        ["apt-get", "-qq", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=APT_SECONDS,
    )
    if finished.returncode != 0:
        raise UnavailableError(f"`apt-get {' '.join(arguments)}` failed: {finished.stderr.strip()[-1000:]}")
