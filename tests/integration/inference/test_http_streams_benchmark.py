"""The benchmark of the HTTP process runs, with few streams for a second; no figure is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "http_streams"


def test_both_sides_serve_every_stream(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARK), "--streams", "3", "--seconds", "1", "--json", str(tmp_path / "rows")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows").read_text())
    assert [row["side"] for row in rows] == ["peer", "server"]
    assert all(row["completed"] == 3 and not row["errors"] for row in rows)
    assert "times the peer's processor time" in done.stdout
