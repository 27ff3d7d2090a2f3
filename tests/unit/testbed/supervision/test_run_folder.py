"""Run folders: lock, names, private files, description."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from voxfleet_testbed.supervision.run_folder import RunFolder, create_run, is_alive


def test_a_run_is_alive_while_its_lock_is_held(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path / "runs")
    assert is_alive(run)
    os.close(lock)
    assert not is_alive(run)


def test_the_names_of_a_run_fit_where_they_are_used(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    assert len(run.link_name) <= 15
    assert run.run_id in run.trace_name
    assert int(run.run_id, 16) >= 0


def test_private_files_are_created_private(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    path = run.write("certificates/admin.key", b"secret", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"secret"


def test_facts_add_up(tmp_path: Path) -> None:
    run, lock = create_run(tmp_path)
    os.close(lock)
    run.describe(server="https://x")
    run.describe(detached=True)
    assert run.facts() == {"server": "https://x", "detached": True}


def test_another_users_folder_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(PermissionError, match="belongs to another user; set TMPDIR"):
        create_run(tmp_path)


def test_a_socket_works_in_a_folder_deeper_than_its_address_allows(tmp_path: Path) -> None:
    deep = RunFolder(tmp_path.joinpath(*["a folder with a long name"] * 8))
    deep.path.mkdir(parents=True)
    assert len(str(deep.socket)) > 200
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        with deep.socket_address() as address:
            listener.bind(address)
        listener.listen()
        assert deep.socket.is_socket()
        with deep.socket_address() as address:
            client.connect(address)
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"hello")
        assert client.recv(5) == b"hello"
