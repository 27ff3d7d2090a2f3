"""The gateway's benchmark runs with small sizes; no figure is asserted, and every request is answered."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "gateway"


def run(tmp_path: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Run the benchmark; return its rows and what it printed."""
    command = [sys.executable, str(BENCHMARK), "--quick", "--json", str(tmp_path / "rows.json"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "rows.json").read_text()), done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("benchmark"), "--rounds", "1")


def test_every_part_answers_every_request(measured: tuple[dict[str, Any], str]) -> None:
    figures, printed = measured
    parts, machine = figures["parts"], figures["machine"]
    assert list(parts) == ["first-byte", "throughput", "streams", "held", "cold", "decisions", "scaling"]
    rows = [row for part in parts.values() for row in part["rows"]]
    assert all(row["failed"] == 0 for row in rows)
    assert "goals" in printed
    assert ("apt-get install" in printed) is not machine["has_nginx"]


def test_every_way_serves_the_same_requests(measured: tuple[dict[str, Any], str]) -> None:
    figures, _printed = measured
    parts, has_nginx = figures["parts"], figures["machine"]["has_nginx"]
    ways = ["direct", "nginx", "gateway"] if has_nginx else ["direct", "gateway"]
    for part in ("first-byte", "throughput", "streams"):
        rows = parts[part]["rows"]
        assert [row["way"] for row in rows] == ways * (len(rows) // len(ways))
        for row in rows:
            processor = next(value for label, value in row.items() if label.startswith("processor ms per"))
            assert (processor is None) is (row["way"] == "direct")
    assert len({row["chunks"] for row in parts["streams"]["rows"]}) == 1


def test_held_requests_and_cold_starts_are_served_after_the_wake(measured: tuple[dict[str, Any], str]) -> None:
    parts = measured[0]["parts"]
    [held], [cold] = parts["held"]["rows"], parts["cold"]["rows"]
    assert held["served"] == held["requests"]
    # The pods are ready a second after the renewal, and not before.
    assert cold["first of a wake, mean s"] > 1


def test_a_profile_names_the_functions_of_the_gateway(tmp_path: Path) -> None:
    figures, printed = run(tmp_path, "--only", "decisions", "--profile", str(tmp_path / "profile"))
    assert [row["regions"] for row in figures["parts"]["decisions"]["rows"]] == [32]
    assert re.search(r"(decisions|dispatch|pods|server)/[a-z_/]+\.py:\d+", printed), printed
