"""Call buildah so that nothing of a call outlives it, and nothing mixes with the user's own images.

Does: runs buildah (and debootstrap) in mount and process namespaces of their own, ended with the caller.
Knows: where the store lies, and how a build reaches the package registry that this machine uses.
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
from voxfleet_testbed.supervision.processes import WITH_CALLER

ERROR_CHARACTERS = 3000
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# When the caller dies, so does the call; with its process namespace goes every child, with its mounts every mount.
ALONE = (
    *WITH_CALLER,
    *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"),
)
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")


@dataclass(frozen=True, slots=True)
class Buildah:
    """A store of images below the cache folder."""

    folder: Path

    def has(self, image: str) -> bool:
        """Whether the store has an image."""
        return self._call("images", "--quiet", "--filter", f"reference={image}").strip() != ""

    def build(self, image: str, dockerfile: Path, context: Path, arguments: Mapping[str, str]) -> None:
        """Build a Dockerfile; its RUN lines reach the network and the package registry as this machine does."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        mounts = [f"--volume={source}:{target}:ro" for source, target in self._registry_files()]
        options = ("--isolation=chroot", "--layers", "--pull=never", f"--tag={image}", f"--file={dockerfile}")
        self._call("bud", *options, *given, *mounts, str(context))

    def save(self, image: str, archive: Path, name: str) -> None:
        """Write an image to an archive that containerd imports under a name; layers uncompressed, for speed."""
        with unfinished(archive) as partial:
            self._call("push", image, f"docker-archive:{partial}:{name}")

    def forget(self, image: str) -> None:
        """Remove an image that nothing refers to; one in use stays."""
        with contextlib.suppress(BuildError):
            self._call("rmi", image)

    def _call(self, command: str, *arguments: str) -> str:
        store = (f"--root={self.folder}/store", f"--runroot={self.folder}/run", "--storage-driver=overlay")
        return run_alone("buildah", *store, command, *arguments)

    def _registry_files(self) -> Iterator[tuple[Path, str]]:
        """This machine's trusted authorities and pip settings, put where a Debian image looks for them."""
        configuration = self.folder / "pip.conf"
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration.write_text(pip_configuration(_pip_settings()))
        yield configuration, "/etc/pip.conf"
        if CA_BUNDLE.exists():
            yield CA_BUNDLE, str(CA_BUNDLE)


def pip_configuration(listing: str) -> str:
    """The part of `pip config list` that says where packages come from, as a pip.conf."""
    lines = ["[global]", f"cert = {CA_BUNDLE}"]
    for line in listing.splitlines():
        key, _separator, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in PIP_KEYS:
            lines.append(f"{name} = {value.strip(chr(39))}")
    return "\n".join(lines) + "\n"


def run_alone(*command: str) -> str:
    """Run a command in namespaces of its own; returns its output, raises with its last words."""
    finished = subprocess.run([*ALONE, *command], capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        last_words = (finished.stdout + finished.stderr).strip()[-ERROR_CHARACTERS:]
        raise BuildError(f"`{command[0]}` failed:\n{last_words}")
    return finished.stdout


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name to write to that becomes the real one only when all went well."""
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
    """One process at a time makes what is called `name`; the others wait, then find it made."""
    name.parent.mkdir(parents=True, exist_ok=True)
    with name.with_name(f".{name.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _pip_settings() -> str:
    """What pip on this machine is told by its files and its environment; empty without a pip."""
    pip: Sequence[str] = ("pip", "config", "list")
    try:
        return subprocess.run(pip, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
