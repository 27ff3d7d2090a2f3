"""A Python of a version is found where there is one, and each lock is installed once."""

import sys
from pathlib import Path

import pytest
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.programs import environments

OWN = (sys.version_info.major, sys.version_info.minor)


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_this_python_is_taken_where_it_is_new_enough(tmp_path: Path) -> None:
    assert environments.python_at_least(tmp_path, OWN) == sys.executable


def test_a_name_on_the_path_that_refuses_to_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such are pyenv's, while its own settings choose another version."""
    write_program(tmp_path / "path" / "python7.1", "exit 127")
    home = tmp_path / "home"
    found = write_program(home / ".pyenv" / "versions" / "7.1.4" / "bin" / "python7.1", "echo 7 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin:/usr/bin")
    monkeypatch.setenv("HOME", str(home))
    assert environments.python_at_least(tmp_path, (7, 1)) == str(found)


def test_an_older_python_under_a_new_name_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(tmp_path / "path" / "python7.1", "echo 3 11")
    found = write_program(tmp_path / "path" / "python7.2", "echo 7 2")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/bin:/usr/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert environments.python_at_least(tmp_path, (7, 1)) == str(found)


def test_without_a_python_the_error_names_the_version_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no Python 2\.99 or newer .*`pyenv install 2\.99`"):
        environments._downloaded(tmp_path, (2, 99))  # uv knows no such version either


def test_a_lock_is_installed_once_for_each_content(tmp_path: Path) -> None:
    lock, made = tmp_path / "lock.txt", []

    def install(part: Path) -> None:
        part.mkdir()
        made.append(part)

    lock.write_text("a==1")
    first = environments.installed(tmp_path / "cache", "clients", [lock], install)
    assert environments.installed(tmp_path / "cache", "clients", [lock], install) == first
    lock.write_text("a==2")
    assert environments.installed(tmp_path / "cache", "clients", [lock], install) != first
    assert len(made) == 2


def test_what_an_interrupted_install_has_left_is_made_anew(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1")

    def stopped(part: Path) -> None:
        part.mkdir()
        (part / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environments.installed(tmp_path, "clients", [lock], stopped)
    folder = environments.installed(tmp_path, "clients", [lock], Path.mkdir)
    assert list(folder.iterdir()) == []
