"""Libraries compiled ahead of time, found in the cache, compiled on demand, or an error that names what is missing."""

import ctypes
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from voxfleet_inference.model.cpu import compile as compiling
from voxfleet_inference.model.cpu.compile import (
    PLAIN,
    VARIANTS,
    NoKernelsError,
    best_variant,
    library_file,
    variants,
)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Sources without a compiled library, and an empty cache."""
    sources = tmp_path / "kernels"
    sources.mkdir()
    for file in compiling.SOURCES.glob("*.[ch]"):
        (sources / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(compiling, "SOURCES", sources)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return sources, tmp_path / "cache" / "voxfleet" / "kernels"


@pytest.mark.usefixtures("folders")
def test_kernels_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = library_file(PLAIN)
    monkeypatch.setenv("CC", "/nowhere/gcc")
    assert library_file(PLAIN) == made
    library = ctypes.CDLL(str(made))
    assert library.run_stack_int8
    assert library.run_stages


def test_a_library_compiled_ahead_is_used(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = compiling.compile_variant(PLAIN, folders[0])
    monkeypatch.setenv("CC", "/nowhere/gcc")
    assert library_file(PLAIN) == ahead
    assert not folders[1].exists()


def test_other_sources_are_another_library(folders: tuple[Path, Path]) -> None:
    before = PLAIN.file
    with (folders[0] / "panels.h").open("a") as file:
        file.write("// changed\n")
    assert PLAIN.file != before
    assert len({variant.file for variant in variants()}) == len(variants())


def test_no_partial_file_is_left_in_the_cache(folders: tuple[Path, Path]) -> None:
    library_file(PLAIN)
    assert [each.name for each in folders[1].iterdir()] == [PLAIN.file]


@pytest.mark.usefixtures("folders")
def test_without_a_compiler_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nowhere/gcc")
    with pytest.raises(NoKernelsError, match=r"apt-get install gcc libc6-dev\)"):
        library_file(PLAIN)


def test_a_compiler_that_fails_is_quoted(folders: tuple[Path, Path]) -> None:
    (folders[0] / "panels.h").write_text("#error too old\n")
    with pytest.raises(NoKernelsError, match="too old"):
        library_file(PLAIN)


def test_a_library_that_does_not_load_raises_no_kernels_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that is mounted noexec."""
    (tmp_path / "kernels.so").write_bytes(b"no library")
    monkeypatch.setattr(compiling, "library_file", lambda _: tmp_path / "kernels.so")
    with pytest.raises(NoKernelsError, match=r"do not load .*python -m voxfleet_inference\.model\.cpu\.compile"):
        compiling.kernels.__wrapped__()


def test_a_home_that_is_not_writable_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(compiling, "SOURCES", compiling.SOURCES)
    assert compiling._writable(compiling._cache_folder()).is_dir()


def test_the_best_variant_is_one_that_the_cpu_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_variant() in variants()
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    old = {"avx2": True, "fma3": True, "bmi2": True, "f16c": True, "lzcnt": True, "l1d_cache_size": 32768}
    bf16, vnni = (old | dict.fromkeys(variant.needs, True) for variant in VARIANTS["x86_64"][:2])
    for has, name in (({}, "plain"), (old, "avx2"), (vnni, "vnni"), (bf16, "bf16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has)
        assert best_variant().name == name
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert variants() == (PLAIN,)


def test_the_command_compiles_all_variants(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voxfleet_inference.model.cpu.compile", "--out"]
    made = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(made) == sorted(str(tmp_path / variant.file) for variant in variants())
    gone = subprocess.run(
        [*command, str(tmp_path)], env=os.environ | {"CC": "/nowhere/gcc"}, capture_output=True, text=True, check=False
    )
    assert gone.returncode == 1
    assert "install gcc" in gone.stderr
    assert "Traceback" not in gone.stderr
