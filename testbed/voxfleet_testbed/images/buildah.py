"""buildah with a store of its own; no process or mount of a call outlives the call.

Does: runs buildah (and debootstrap) in their own mount and process namespaces, killed with the caller. Knows: the path
of the store, and how a build reaches the package index that this machine uses. The user's own images are not touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.errors import BuildError
from voxfleet_testbed.supervision.processes import KILLED_WITH_CALLER

ERROR_CHARACTERS = 3000
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# setpriv kills `unshare` when the caller dies; the process namespace then ends every child, the mount namespace every
# mount (unshare(1), --kill-child and --mount).
ISOLATED = (
    *KILLED_WITH_CALLER,
    *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"),
)
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")


@dataclass(frozen=True, slots=True)
class Buildah:
    """An image store below the cache folder."""

    folder: Path

    def has(self, image: str) -> bool:
        """Return whether the store has an image."""
        return self._call("images", "--quiet", "--filter", f"reference={image}").strip() != ""

    def build(self, image: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None:
        """Build a Dockerfile; its RUN lines use this machine's network, CA certificates and pip settings.

        Raises:
            BuildError: a step failed.
        """
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        mounts = [f"--volume={source}:{target}:ro" for source, target in self._registry_files()]
        options = ("--isolation=chroot", "--layers", "--pull=never", f"--tag={image}", f"--file={dockerfile}")
        self._call("bud", *options, *given, *mounts, str(context))

    def save(self, image: str, archive: Path, name: str) -> None:
        """Write an image to an archive that containerd imports under `name`; layers stay uncompressed, for speed."""
        with unfinished(archive) as partial:
            self._call("push", image, f"docker-archive:{partial}:{name}")

    def remove(self, image: str) -> None:
        """Remove an image from the store; one that another image builds on stays."""
        with contextlib.suppress(BuildError):
            self._call("rmi", image)

    def _call(self, command: str, *arguments: str) -> str:
        store = (f"--root={self.folder}/store", f"--runroot={self.folder}/run", "--storage-driver=overlay")
        return run_isolated("buildah", *store, command, *arguments)

    def _registry_files(self) -> Iterator[tuple[Path, str]]:
        """Yield (file of this machine, path in a Debian image) for the CA certificates and pip's settings."""
        configuration = self.folder / "pip.conf"
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration.write_text(pip_configuration(pip_settings()))
        yield configuration, "/etc/pip.conf"
        if CA_BUNDLE.exists():
            yield CA_BUNDLE, str(CA_BUNDLE)


def pip_configuration(listing: str) -> str:
    """Return a pip.conf with the index settings from the output of `pip config list`, and no others."""
    lines = ["[global]", f"cert = {CA_BUNDLE}"]
    for line in listing.splitlines():
        key, _separator, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in PIP_KEYS:
            lines.append(f"{name} = {value.strip(chr(39))}")  # pip prints values in single quotes
    return "\n".join(lines) + "\n"


def run_isolated(*command: str) -> str:
    """Run a command in its own mount and process namespaces; returns its standard output.

    Raises:
        BuildError: the command failed; the message has the end of its output.
    """
    finished = subprocess.run([*ISOLATED, *command], capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        error_output = (finished.stdout + finished.stderr).strip()[-ERROR_CHARACTERS:]
        raise BuildError(f"`{command[0]}` failed:\n{error_output}")
    return finished.stdout


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yield a temporary path that is renamed to `path` if the block succeeds, and removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    _remove(partial)
    try:
        yield partial
        partial.rename(path)
    finally:
        _remove(partial)


@contextlib.contextmanager
def locked(name: Path) -> Iterator[None]:
    """Hold a file lock for `name`: one process builds it, the others wait and then find it built."""
    name.parent.mkdir(parents=True, exist_ok=True)
    with name.with_name(f".{name.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def pip_settings() -> str:
    """Return pip's settings on this machine, from its files and its environment; empty without pip."""
    pip: Sequence[str] = ("pip", "config", "list")
    try:
        return subprocess.run(pip, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
