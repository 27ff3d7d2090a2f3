"""The RUN lines of the speech server's Dockerfile, executed with stub programs on PATH, on different base images."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from voxfleet_testbed.settings import REPOSITORY

MOUNTS = re.compile(r"^RUN (\s*--mount=\S+)*\s*")


def run_lines() -> list[str]:
    """The shell of each RUN instruction."""
    text = (REPOSITORY / "inference" / "Dockerfile").read_text()
    joined = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [MOUNTS.sub("", line) for line in joined.splitlines() if line.startswith("RUN ")]


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
    [line] = [each for each in run_lines() if "apt-get" in each and "cpu.compile" not in each]
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


@pytest.mark.parametrize("dependencies", ["mounted", "cpu", "cpu-pypi"])
def test_an_image_without_triton_keeps_no_compiler(tmp_path: Path, dependencies: str) -> None:
    assert installed(tmp_path, dependencies, compiler=False, headers=False) is None


@pytest.mark.parametrize(
    ("dependencies", "compiler", "steps"),
    [
        ("cpu-pypi", False, ["update", "install gcc libc6-dev libgomp1", "compile", "purge gcc libc6-dev"]),
        ("cpu-pypi", True, ["compile"]),  # the base's own compiler stays
        ("install", True, ["compile"]),
        ("mounted", False, []),
    ],
)
def test_kernels_for_cpus_are_compiled_by_a_compiler_that_leaves(
    tmp_path: Path, dependencies: str, *, compiler: bool, steps: list[str]
) -> None:
    programs, done = tmp_path / "bin", tmp_path / "done"
    programs.mkdir()
    done.touch()
    put(programs, "python3", f'echo "${{2##*.}}" >> {done}')
    put(programs, "apt-get", f'echo "$*" >> {done}')
    put(programs, "rm", "exit 0")
    put(programs, "find", "exit 0")
    if compiler:
        put(programs, "gcc", "exit 0")
    [line] = [each for each in run_lines() if "cpu.compile" in each]
    subprocess.run(["/bin/sh", "-c", line], env={"PATH": str(programs), "DEPENDENCIES": dependencies}, check=True)
    assert [re.sub(r" -\S+", "", step) for step in done.read_text().splitlines()] == steps


def installs(folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the package layer in `folder` with a stub of pip; return it, and the arguments of each `pip install`."""
    programs, asked = folder / "bin", folder / "asked"
    programs.mkdir()
    put(programs, "python3", f'if [ "$1" = -m ]; then echo "$*" >> {asked}; else exec {sys.executable} "$@"; fi')
    shutil.copy(REPOSITORY / "requirements/inference.txt", folder / "requirements.txt")
    shutil.copy(REPOSITORY / "scripts/image_packages.py", folder)
    [line] = [each for each in run_lines() if "image_packages.py" in each]
    variables = {"PATH": f"{programs}:/usr/bin:/bin", **environment}
    shell = ["/bin/sh", "-c", line.replace("/opt/voxfleet", str(folder))]
    done = subprocess.run(shell, env=variables, capture_output=True, text=True, check=False, timeout=60)
    return done, asked.read_text().splitlines() if asked.exists() else []


def listed(folder: Path) -> set[str]:
    """Return the packages that the image's bill of materials will be made of."""
    return set(re.findall(r"^(\S+==\S+)", (folder / "requirements.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("given", "torch"),
    [
        ({}, "torch==2.11.0"),
        ({"DEPENDENCIES": "cpu-pypi"}, "torch==2.11.0"),
        ({"DEPENDENCIES": "mounted"}, "torch==2.11.0"),
    ],
)
def test_pypis_pytorch_is_installed_by_hash(tmp_path: Path, given: dict[str, str], torch: str) -> None:
    done, asked = installs(tmp_path, **{"DEPENDENCIES": "install", **given})
    assert done.returncode == 0, done.stderr
    assert len(asked) == (0 if given.get("DEPENDENCIES") == "mounted" else 1)
    assert all("--no-deps --require-hashes -r hashed.txt" in each for each in asked)
    assert torch in listed(tmp_path)
    assert ("triton==3.6.0" in listed(tmp_path)) == (given.get("DEPENDENCIES") != "cpu-pypi")
    assert not {"image_packages.py", "hashed.txt", "pinned.txt"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"PYTORCH_INDEX_URL": "https://torch.example.com/cpu"}, ["https://torch.example.com/cpu"]),
        ({"PIP_NO_INDEX": "1"}, []),
    ],
)
def test_pytorchs_own_build_for_cpus_comes_from_its_index_or_a_folder(
    tmp_path: Path, given: dict[str, str], index: list[str]
) -> None:
    done, asked = installs(tmp_path, DEPENDENCIES="cpu", **given)
    assert done.returncode == 0, done.stderr
    assert ["--require-hashes" in each for each in asked] == [True, False]
    assert asked[1].endswith(" -r pinned.txt")
    assert re.findall(r"--index-url (\S+)", asked[1]) == index
    assert {"torch==2.11.0+cpu", "torchaudio==2.11.0+cpu"} <= listed(tmp_path)


@pytest.mark.parametrize(
    ("dependencies", "message"),
    [
        ("cpu", "PYTORCH_INDEX_URL must name the index with PyTorch's wheels for CPUs, or DEPENDENCIES be cpu-pypi"),
        ("gpu", "DEPENDENCIES is 'gpu'; it must be install, cpu, cpu-pypi or mounted"),
    ],
)
def test_a_build_without_what_it_needs_says_what_to_name(tmp_path: Path, dependencies: str, message: str) -> None:
    done, asked = installs(tmp_path, DEPENDENCIES=dependencies)
    assert (done.returncode, done.stderr.strip(), asked) == (2, message, [])


def test_commands_of_root_leave_no_files_in_tmp() -> None:
    writing = [line for line in run_lines() if "-m voxfleet_inference" in line]
    assert len(writing) == 3
    assert all(line.rstrip().endswith("&& find /tmp -mindepth 1 -delete") for line in writing)


@pytest.mark.parametrize("argument", ["JUPYTER", "KERNELS", "HF_ENDPOINT", "MODEL"])
def test_build_arguments_come_after_the_package_layer(argument: str) -> None:
    text = (REPOSITORY / "inference" / "Dockerfile").read_text()
    assert text.index(f"\nARG {argument}") > text.index("--require-hashes -r hashed.txt")
