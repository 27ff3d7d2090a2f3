"""The folder that is mounted into every container: the speech server's packages.

Does: makes it in the cache, once per lock file. Knows: uv.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.errors import BuildError, UnavailableError
from voxfleet_testbed.images.buildah import ERROR_CHARACTERS, locked, unfinished
from voxfleet_testbed.supervision.processes import KILLED_WITH_CALLER

IMAGE_PYTHON = "3.11"


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of this machine that every container of the cluster sees, read-only."""

    source: Path
    destination: str  # a path inside the containers


def make_site_packages(cache: Path, requirements: Path) -> Path:
    """Install the locked packages into a folder named by the lock's hash; returns the folder.

    Raises:
        UnavailableError: uv is missing.
        BuildError: a package could not be installed, or its hash does not match.
    """
    folder = cache / "site-packages" / _key([requirements])
    with locked(folder):
        if not folder.exists():
            with unfinished(folder) as partial:
                _run(install_command(find_uv(cache), requirements, partial))
                _run(["chmod", "-R", "a+rX", str(partial)])  # containers run as another user
    return folder


def install_command(uv: str, requirements: Path, target: Path) -> list[str]:
    """Return the uv command that installs wheels for the image's Python, independent of this machine's Python."""
    # Bytecode is compiled here, because the mount is read-only and every container would compile it again.
    options = ["--require-hashes", "--only-binary=:all:", "--compile-bytecode", f"--python-version={IMAGE_PYTHON}"]
    return [uv, "pip", "install", "--quiet", *options, f"--target={target}", f"--requirement={requirements}"]


def find_uv(cache: Path) -> str:
    """Return the path of uv: the pinned one that scripts/setup installs into the cache, or one on PATH.

    Raises:
        UnavailableError: there is neither.
    """
    pinned = sorted(cache.glob("uv-*/bin/uv"))
    found = str(pinned[-1]) if pinned else shutil.which("uv")
    if found is None:
        raise UnavailableError("uv is needed to install the speech server's packages; run `make setup` first")
    return found


def _key(files: Sequence[Path]) -> str:
    digest = hashlib.sha256(IMAGE_PYTHON.encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _run(command: Sequence[str]) -> None:
    finished = subprocess.run([*KILLED_WITH_CALLER, *command], capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        error_output = (finished.stdout + finished.stderr).strip()[-ERROR_CHARACTERS:]
        raise BuildError(f"`{' '.join(command[:4])}` failed:\n{error_output}")
