"""The RUN lines of the speech server's Dockerfile, executed with stub programs on PATH, on different base images."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from voxfleet_testbed.settings import REPOSITORY


def run_lines() -> list[str]:
    """The shell of each RUN instruction."""
    text = (REPOSITORY / "inference" / "Dockerfile").read_text()
    joined = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [line.removeprefix("RUN ") for line in joined.splitlines() if line.startswith("RUN ")]


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def installed(folder: Path, dependencies: str, *, compiler: bool, headers: bool) -> list[str] | None:
    """Return the packages that the Dockerfile installs on such a base; None: it does not call apt-get."""
    programs, include, asked = folder / "bin", folder / "include", folder / "asked"
    programs.mkdir()
    include.mkdir()
    put(programs, "python3", f"echo {include}")
    put(programs, "rm", "exit 0")
    put(programs, "apt-get", f'[ "$1" = update ] || echo "$*" >> {asked}')
    if compiler:
        put(programs, "gcc", "exit 0")
    if headers:
        (include / "Python.h").touch()
    [line] = [each for each in run_lines() if "apt-get" in each]
    environment = {"PATH": str(programs), "DEPENDENCIES": dependencies}
    subprocess.run(["/bin/sh", "-c", line], env=environment, check=True, timeout=60)
    if not asked.exists():
        return None
    return [word for word in asked.read_text().split() if not word.startswith("-") and word != "install"]


@pytest.mark.parametrize(
    ("compiler", "headers", "packages"),
    [
        (False, False, ["gcc", "libc6-dev", "libpython3-dev"]),  # Debian's own Python
        (False, True, ["gcc", "libc6-dev"]),  # python:3.11-slim
        (True, False, ["libpython3-dev"]),
        (True, True, None),
    ],
)
def test_missing_compiler_packages_for_triton_are_installed(
    tmp_path: Path, *, compiler: bool, headers: bool, packages: list[str] | None
) -> None:
    assert installed(tmp_path, "install", compiler=compiler, headers=headers) == packages


def test_an_image_without_dependencies_gets_no_compiler(tmp_path: Path) -> None:
    assert installed(tmp_path, "mounted", compiler=False, headers=False) is None


def test_commands_of_root_leave_no_files_in_tmp() -> None:
    writing = [line for line in run_lines() if "-m voxfleet_inference" in line]
    assert len(writing) == 3
    assert all(line.rstrip().endswith("&& find /tmp -mindepth 1 -delete") for line in writing)


@pytest.mark.parametrize("argument", ["JUPYTER", "KERNELS", "HF_ENDPOINT", "MODEL"])
def test_build_arguments_come_after_the_package_layer(argument: str) -> None:
    text = (REPOSITORY / "inference" / "Dockerfile").read_text()
    assert text.index(f"\nARG {argument}") > text.index("--require-hashes --target /opt/voxfleet/site-packages")
