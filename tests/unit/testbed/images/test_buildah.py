"""buildah's calls: isolation, locks, unfinished files, pip settings."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest
from voxfleet_testbed.errors import BuildError
from voxfleet_testbed.images import buildah
from voxfleet_testbed.images.buildah import ISOLATED, Buildah, locked, pip_configuration, run_isolated, unfinished


def test_removing_an_image_that_is_in_use_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves that a failed `buildah rmi` is ignored: no exception is raised."""

    def refuse(*_command: str) -> str:
        raise BuildError("image is in use")

    monkeypatch.setattr(buildah, "run_isolated", refuse)
    Buildah(tmp_path).remove("localhost/x:1")


def test_a_failed_command_keeps_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buildah, "ISOLATED", ())
    with pytest.raises(BuildError, match="`sh` failed:\nout\nthe disk is full"):
        run_isolated("sh", "-c", "echo out; echo the disk is full >&2; exit 1")
    assert run_isolated("echo", "fine") == "fine\n"


def test_one_thread_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with locked(tmp_path / "thing"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.05)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_only_pips_index_settings_are_passed_on() -> None:
    listing = ":env:.index-url='https://mirror.test/simple'\nglobal.cert='/somewhere'\nglobal.timeout='60'"
    assert pip_configuration(listing).splitlines() == [
        "[global]",
        "cert = /etc/ssl/certs/ca-certificates.crt",
        "index-url = https://mirror.test/simple",
        "timeout = 60",
    ]


def test_without_pip_settings_only_the_authorities_are_named() -> None:
    assert pip_configuration("") == "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"


def test_an_unfinished_file_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with pytest.raises(KeyError), unfinished(target) as partial:  # noqa: PT012 - it must break off halfway
        partial.mkdir()
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with unfinished(target) as partial:
        partial.write_text("all")
    assert target.read_text() == "all"


def test_another_process_finds_the_lock_held(tmp_path: Path) -> None:
    name = tmp_path / "thing"
    command = ["flock", "--nonblock", str(tmp_path / ".thing.lock"), "true"]
    with locked(name):
        assert subprocess.run(command, check=False).returncode == 1
    assert subprocess.run(command, check=False).returncode == 0


def test_a_build_and_its_children_are_killed_with_the_caller() -> None:
    assert "--pdeathsig" in ISOLATED
    assert {"--pid", "--mount", "--kill-child=KILL"} <= set(ISOLATED)
