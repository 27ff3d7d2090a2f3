from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from voxfleet_inference.model.cuda import writable_kernels
from voxfleet_inference.model.cuda.writable_kernels import VARIABLE, use_writable_kernels


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a kernel that may not be written, also where tests run as root."""
    folder = tmp_path / "kernels"
    (folder / "key").mkdir(parents=True)
    (folder / "key" / "kernel.cubin").write_bytes(b"code")
    for each in (folder / "key" / "kernel.cubin", folder / "key", folder):
        each.chmod(0o555)
    may = os.access
    monkeypatch.setattr(writable_kernels.os, "access", lambda path, mode: str(path) != str(folder) and may(path, mode))
    yield folder
    folder.chmod(0o755)
    (folder / "key").chmod(0o755)


def test_a_read_only_cache_is_copied_to_where_it_can_grow(read_only: Path) -> None:
    environment = {VARIABLE: str(read_only)}
    use_writable_kernels(environment)
    copy = Path(environment[VARIABLE])
    assert copy != read_only
    assert (copy / "key" / "kernel.cubin").read_bytes() == b"code"
    assert (copy / "key").stat().st_mode & 0o200
    (copy / "key" / "another.cubin").write_bytes(b"more")
    shutil.rmtree(copy)


def test_a_cache_that_can_be_written_or_is_not_named_stays(tmp_path: Path) -> None:
    environment = {VARIABLE: str(tmp_path)}
    use_writable_kernels(environment)
    assert environment == {VARIABLE: str(tmp_path)}
    nothing: dict[str, str] = {}
    use_writable_kernels(nothing)
    assert nothing == {}


def test_a_cache_that_is_not_there_becomes_an_empty_one(tmp_path: Path) -> None:
    environment = {VARIABLE: str(tmp_path / "nowhere")}
    use_writable_kernels(environment)
    assert list(Path(environment[VARIABLE]).iterdir()) == []
    Path(environment[VARIABLE]).rmdir()
