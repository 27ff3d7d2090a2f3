"""The container engine of this machine: Docker where its daemon answers, else Podman with files of its own.

Does: finds it, and writes what Podman needs in order to run without systemd, without cgroups of its own, and below the
limits of this process. Knows: that these are settings by environment variable, so that command lines stay the same.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voxfleet_testbed.errors import UnavailableError

MISSING = (
    "no container engine: `docker version` reaches no daemon, and there is no podman; "
    "install one (Debian: apt-get install podman)"
)
# Podman asks for more open files and processes than a limited process may grant, and runc then refuses to start.
WANTED_LIMITS = {"nofile": (resource.RLIMIT_NOFILE, 4096), "nproc": (resource.RLIMIT_NPROC, 4096)}


@dataclass(frozen=True, slots=True)
class Engine:
    """A command that understands Docker's arguments."""

    program: str  # "docker" or "podman"
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine to its end; returns its output.

        Raises:
            CalledProcessError: it failed, and `check` is set.
        """
        command = [self.program, *arguments]
        return subprocess.run(command, env=self.variables(), capture_output=True, text=True, check=check)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the engine, such as `run` in the foreground; both outputs come by one pipe."""
        command = [self.program, *arguments]
        return subprocess.Popen(
            command, env=self.variables(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def variables(self) -> dict[str, str]:
        """Return the whole environment of its processes."""
        return {**os.environ, **self.environment}


def find_engine(folder: Path) -> Engine:
    """Return the engine to use; Podman keeps everything below `folder`.

    Raises:
        UnavailableError: there is none.
    """
    if (
        shutil.which("docker")
        and subprocess.run(("docker", "version"), capture_output=True, check=False).returncode == 0
    ):
        return Engine("docker")
    if shutil.which("podman"):
        return Engine("podman", _podman_environment(folder))
    raise UnavailableError(MISSING)


def _podman_environment(folder: Path) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    containers, storage = folder / "containers.conf", folder / "storage.conf"
    runtime = "runc" if shutil.which("runc") else "crun"
    containers.write_text(containers_configuration(runtime, folder / "volumes", soft_limits()))
    storage.write_text(storage_configuration(folder))
    return {
        "CONTAINERS_CONF": str(containers),
        "CONTAINERS_STORAGE_CONF": str(storage),
        "BUILDAH_ISOLATION": "chroot",  # of RUN lines: no runtime, and the network of this machine
    }


def soft_limits() -> dict[str, int]:
    """Return the limits of a container's processes: what is wanted, or less where this process has less."""
    limits = {}
    for name, (kind, wanted) in WANTED_LIMITS.items():
        _soft, hard = resource.getrlimit(kind)
        limits[name] = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    return limits


def containers_configuration(runtime: str, volumes: Path, limits: Mapping[str, int]) -> str:
    """Return Podman's containers.conf."""
    ulimits = json.dumps([f"{name}={value}:{value}" for name, value in limits.items()])
    return "\n".join(
        (
            "[containers]",
            f"default_ulimits = {ulimits}",
            "[engine]",
            f'runtime = "{runtime}"',
            'cgroup_manager = "cgroupfs"',
            'events_logger = "file"',
            f'volume_path = "{volumes}"',
            "",
        )
    )


def storage_configuration(folder: Path) -> str:
    """Return Podman's storage.conf."""
    return f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n'
