"""A short soak; `make soak` is the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[3] / "benchmarks" / "soak"
ALLOWED_MIB = 64  # memory still grows while so short a soak warms up


def test_misbehaving_clients_leave_a_server_that_works(tmp_path: Path) -> None:
    command = [sys.executable, str(SOAK), "--clients", "12", "--seconds", "10"]
    command += ["--waves", "2", "--allowed-mib", str(ALLOWED_MIB)]
    with (tmp_path / "stderr.txt").open("wb") as errors:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, timeout=500, check=False)
    log = (tmp_path / "stderr.txt").read_text()
    assert done.stdout, log
    figures = json.loads(done.stdout)
    assert figures["violations"] == [], log
    assert done.returncode == 0
    assert figures["ended"]["reads_all: completed"] > 0
    assert "Traceback" not in log, "no client makes the server fail"
