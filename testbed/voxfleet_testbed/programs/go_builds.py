"""Programs built once from published Go modules, into the user's cache.

Does: checks Go, takes a lock per module (two checkouts may build at once), runs `go build`, reports progress.
Knows: the path of the cache. Does not know: what the programs are for.
"""

from __future__ import annotations

import collections
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.errors import BuildError, UnavailableError
from voxfleet_testbed.events import Progress, Report, ignore, phase
from voxfleet_testbed.programs.go_modules import (
    DEFAULT_KUBERNETES,
    KUBERNETES,
    GoModule,
    build_key,
    by_go_module,
    go_modules,
    parse_version,
    required_go_version,
)
from voxfleet_testbed.settings import GO_SOURCES, Settings
from voxfleet_testbed.supervision.processes import KILLED_WITH_CALLER

LAST_LINES = 20  # of the compiler's output in an error message


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of built programs by name."""

    cache: Path
    kubebuilder_assets: Path | None = None
    kubernetes: str = DEFAULT_KUBERNETES

    @property
    def modules(self) -> tuple[GoModule, ...]:
        """The modules that the programs are built from."""
        return go_modules(self.kubernetes)

    def path(self, program: str) -> Path:
        """Return a program's path, whether it is built or not; KUBEBUILDER_ASSETS takes precedence."""
        if self.kubebuilder_assets is not None and (self.kubebuilder_assets / program).exists():
            return self.kubebuilder_assets / program
        module = next(module for module in self.modules if program in module.packages)
        return self.folder(module) / program

    def folder(self, module: GoModule) -> Path:
        """Return the cache folder of a module's programs."""
        return self.cache / "programs" / build_key(module, GO_SOURCES / module.name)

    def asset(self, program: str, name: str) -> Path:
        """Return a file that a program's module publishes beside it, by its file name."""
        module = next(module for module in self.modules if program in module.packages)
        return self.folder(module) / name

    def missing(self, programs: Iterable[str]) -> tuple[str, ...]:
        """Return the programs that are not built yet."""
        return tuple(program for program in programs if not self.path(program).exists())


def find_programs(settings: Settings) -> Programs:
    """Return the programs in this user's cache.

    Raises:
        UnavailableError: TESTBED_KUBERNETES names a version that is not built here.
    """
    version = settings.kubernetes or DEFAULT_KUBERNETES
    if version not in KUBERNETES:
        known = ", ".join(KUBERNETES)
        raise UnavailableError(f"TESTBED_KUBERNETES is {version!r}; versions that can be built: {known}")
    return Programs(settings.cache, settings.kubebuilder_assets, version)


def build(programs: Programs, wanted: Iterable[str], report: Report = ignore) -> None:
    """Build the missing programs, one phase per module; does nothing when all are cached.

    Raises:
        UnavailableError: Go is missing or too old.
        BuildError: a program did not compile; the message has the compiler's last lines.
    """
    missing = programs.missing(wanted)
    if not missing:
        return
    for module, names in by_go_module(missing, programs.modules).items():
        with phase(report, f"build {module.name}") as progress, _locked(programs.folder(module)) as folder:
            still_missing = tuple(name for name in names if not (folder / name).exists())
            if still_missing:
                check_go(module)
                _build_module(module, still_missing, folder, progress)


def check_go(module: GoModule) -> None:
    """Check that Go is new enough to build a module.

    Raises:
        UnavailableError: Go is missing or too old; the message has the version that is needed.
    """
    needed = required_go_version((GO_SOURCES / module.name / "go.mod").read_text())
    wanted = ".".join(map(str, needed[:2]))
    if shutil.which("go") is None:
        raise UnavailableError(f"Go {wanted} or newer is needed to build {module.name}, and `go` is not on PATH")
    found = subprocess.run(["go", "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=True)
    if parse_version(found.stdout.split("-")[0]) < needed:
        raise UnavailableError(f"Go {wanted} or newer is needed to build {module.name}; this is {found.stdout.strip()}")


def build_command(module: GoModule, names: Iterable[str], output: Path) -> list[str]:
    """Return the `go build` of some of a module's programs into a folder."""
    # -v prints each package as it is compiled, which is the progress. No -trimpath: it would write replaced module
    # versions into each package, and the modules could not share Go's build cache, which saves minutes.
    packages = [module.packages[name] for name in names]
    flags = [*_tags(module), "-ldflags", module.linker_flags]
    return ["go", "build", "-v", *flags, "-o", f"{output}/", *packages]


def _tags(module: GoModule) -> list[str]:
    return ["-tags", module.tags] if module.tags else []


def _build_module(module: GoModule, names: tuple[str, ...], folder: Path, progress: Progress) -> None:
    sources = GO_SOURCES / module.name
    packages = [module.packages[name] for name in names]
    progress("downloading modules", None)
    listing = ["go", "list", *_tags(module), "-deps", *packages]
    total = len(_run(listing, sources).splitlines())
    _copy_assets(module, packages[0], folder)  # before the programs: one that is in the cache has its assets
    with tempfile.TemporaryDirectory(dir=folder) as output:
        _build_with_progress(build_command(module, names, Path(output)), sources, total, progress)
        for name in names:
            (_built(Path(output), module.packages[name], name)).rename(folder / name)


def _built(output: Path, package: str, name: str) -> Path:
    """Return the file that `go build` wrote: named after the package's last element that is no version (server/v3)."""
    candidates = (output / element for element in (name, *reversed(package.split("/"))))
    return next(path for path in candidates if path.exists())


def _copy_assets(module: GoModule, package: str, folder: Path) -> None:
    if not module.assets:
        return
    published = _run(["go", "list", "-f", "{{.Module.Dir}}", package], GO_SOURCES / module.name).strip()
    for asset in module.assets:
        # Not shutil.copy2: files in Go's module cache are read-only, and a second build writes these again.
        (folder / Path(asset).name).write_bytes((Path(published) / asset).read_bytes())


def _run(command: list[str], folder: Path) -> str:
    finished = subprocess.run(
        [*KILLED_WITH_CALLER, *command], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise BuildError(f"`{' '.join(command[:3])}` failed in {folder.name}:\n{finished.stderr[-2000:]}")
    return finished.stdout


def _build_with_progress(command: list[str], folder: Path, total: int, progress: Progress) -> None:
    lines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        [*KILLED_WITH_CALLER, *command], cwd=folder, env=_environment(), stderr=subprocess.PIPE, text=True
    ) as builder:
        assert builder.stderr is not None  # noqa: S101 - Popen was asked for it
        for done, line in enumerate(builder.stderr, start=1):
            lines.append(line)
            progress(line.strip(), min(1.0, done / total))
    if builder.returncode != 0:
        raise BuildError(f"`go build` failed in {folder.name}:\n{''.join(lines)}")


def _environment() -> dict[str, str]:
    """Return the user's environment with toolchain downloads, cgo and version stamping switched off."""
    return {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Hold a lock on a module's folder: a second process waits, then finds the programs built."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
