"""Which container engine is used, and the files that let Podman run where it finds neither systemd nor high limits."""

from __future__ import annotations

import resource
import tomllib
from pathlib import Path

import pytest
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.images import engine
from voxfleet_testbed.images.engine import containers_configuration, find_engine, soft_limits, storage_configuration


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_docker_is_used_as_it_is_when_its_daemon_answers(programs: Path, tmp_path: Path) -> None:
    put(programs, "docker", "exit 0")
    put(programs, "podman", "exit 0")
    found = find_engine(tmp_path / "engine")
    assert (found.program, dict(found.environment)) == ("docker", {})
    assert not (tmp_path / "engine").exists()


def test_podman_takes_the_place_of_a_docker_without_a_daemon(programs: Path, tmp_path: Path) -> None:
    put(programs, "docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    put(programs, "podman", 'cat "$CONTAINERS_CONF" "$CONTAINERS_STORAGE_CONF"; echo "$@"')
    put(programs, "cat", 'while IFS= read -r line; do echo "$line"; done < "$1"; [ -z "$2" ] || "$0" "$2"')
    put(programs, "runc", "exit 0")
    found = find_engine(tmp_path)
    assert found.program == "podman"
    *files, arguments = found.run("run", "--rm", "image").stdout.splitlines()
    given = tomllib.loads("\n".join(files))
    assert given["engine"]["runtime"] == "runc"
    assert given["storage"]["graphroot"] == f"{tmp_path}/store"
    assert arguments == "run --rm image", "the line that a user types"


def test_without_either_the_message_says_what_to_install(programs: Path, tmp_path: Path) -> None:
    put(programs, "docker", "exit 1")
    with pytest.raises(UnavailableError, match="apt-get install podman"):
        find_engine(tmp_path)


@pytest.mark.parametrize(("hard", "given"), [(resource.RLIM_INFINITY, 4096), (20000, 4096), (1024, 1024)])
def test_a_container_gets_no_more_than_this_process_may_grant(
    monkeypatch: pytest.MonkeyPatch, hard: int, given: int
) -> None:
    monkeypatch.setattr(engine.resource, "getrlimit", lambda _kind: (min(1024, given), hard))
    assert soft_limits() == {"nofile": given, "nproc": given}


def test_the_files_are_toml(tmp_path: Path) -> None:
    containers = tomllib.loads(containers_configuration("crun", tmp_path, {"nofile": 10, "nproc": 20}))
    assert containers["containers"]["default_ulimits"] == ["nofile=10:10", "nproc=20:20"]
    assert containers["engine"]["cgroup_manager"] == "cgroupfs"
    assert containers["engine"]["volume_path"] == str(tmp_path)
    assert tomllib.loads(storage_configuration(tmp_path))["storage"]["runroot"] == f"{tmp_path}/run"
