"""What a cluster with nodes needs from this machine: root, and programs of the distribution.

Does: names missing packages in one line, installs them on request. Knows: Debian's package names.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.events import Report, ignore, phase

# A program (looked up on PATH, or an absolute path with wildcards) -> the Debian package that has it.
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
# The part of them that a node without containers needs.
POLICY_PACKAGE_OF = {program: PACKAGE_OF[program] for program in ("iptables", "ip", "nsenter", "sysctl")}
# The same of what the DNS engine is tested with.
DNS_PACKAGE_OF: dict[str, str] = {
    "pdns_server": "pdns-server",
    "/usr/lib/*/pdns/libremotebackend.so": "pdns-backend-remote",
    "pdns_recursor": "pdns-recursor",
    "dnsperf": "dnsperf",
}
# The same of what the pages are tested with: a browser, and a font for Chinese.
BROWSER_PACKAGE_OF: dict[str, str] = {
    "chromium": "chromium",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc": "fonts-noto-cjk",
}
# The same of two further engines; they are installed when asked for (`make browsers`).
FIREFOX_PACKAGE_OF: dict[str, str] = {"firefox-esr": "firefox-esr", "pulseaudio": "pulseaudio"}
WEBKIT_PACKAGE_OF: dict[str, str] = {"WebKitWebDriver": "webkit2gtk-driver", "Xvfb": "xvfb"}
APT_SECONDS = 600  # for a slow mirror
LOCK = Path(tempfile.gettempdir()) / "voxfleet-packages.lock"
Find = Callable[[str], bool]


def is_installed(program: str) -> bool:
    """Return whether a program exists on PATH or in the sbin folders, which only root's PATH has."""
    if program.startswith("/"):
        return any(Path("/").glob(program[1:]))
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return shutil.which(program, path=path) is not None


def missing_packages(find: Find = is_installed, table: Mapping[str, str] = PACKAGE_OF) -> tuple[str, ...]:
    """Return the packages whose programs are missing, each once."""
    return tuple(dict.fromkeys(package for program, package in table.items() if not find(program)))


def require_cluster_prerequisites(
    user_id: int | None = None, find: Find = is_installed, table: Mapping[str, str] = PACKAGE_OF
) -> None:
    """Check root and packages.

    Raises:
        UnavailableError: one line that names what is missing.
    """
    if (os.geteuid() if user_id is None else user_id) != 0:
        raise UnavailableError(
            "a cluster with nodes needs root (containers, networks): run with sudo, or set KUBECONFIG to one you have"
        )
    if packages := missing_packages(find, table):
        raise UnavailableError(
            f"missing packages: {' '.join(packages)}; install them with `python -m voxfleet_testbed packages`"
        )


def install_packages(report: Report = ignore, table: Mapping[str, str] = PACKAGE_OF) -> tuple[str, ...]:
    """Install missing packages with apt-get, without starting the services in them; returns their names.

    Raises:
        UnavailableError: not root, no apt-get, or apt-get failed.
    """
    packages = missing_packages(table=table)
    if not packages:
        return ()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"installing packages needs root and apt-get; missing are: {' '.join(packages)}")
    with phase(report, "packages") as progress, LOCK.open("w") as lock:
        progress(" ".join(packages), None)
        # apt-get fails at once where another one runs, as in the other worker of a test run.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if packages := missing_packages(table=table):
            _apt_get("update")  # a fresh container has no package lists
            _apt_get("install", "--yes", "--no-install-recommends", *packages)
    return packages


def _apt_get(*arguments: str) -> None:
    # RUNLEVEL: in runlevel 1 invoke-rc.d starts no service, which would take a port that tests or the user need.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
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
