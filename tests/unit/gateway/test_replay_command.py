"""The command that replays decisions: its exit codes, its messages, and the lines that CI replays."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER
from voxfleet_gateway.replay_command import run

RECORDED = Path(__file__).parent / "recorded" / "decisions.jsonl"
ROUTES = {"nearest", "spill-load", "spill-wake", "hold-wake", "hold-load", "hold-circuit", "failover", "no-region"}


def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def written(*lines: Any) -> str:
        path = tmp_path / "gateway.log"
        path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines))
        return str(path)

    return written


def test_recorded_decisions_are_the_same_today(capsys: pytest.CaptureFixture[str]) -> None:
    """A change of a rule or of the record's form shows here: scripts/record_decisions.py writes the lines anew."""
    assert run([str(RECORDED)]) == 0, capsys.readouterr().out
    assert " different\n" in capsys.readouterr().err


def test_every_way_a_decision_can_end_is_recorded() -> None:
    assert {each["decision"]["route"] for each in records()} == ROUTES | {*REFUSAL_BY_FILTER}


def test_a_different_decision_fails_and_says_what_differs(
    file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    changed = records()[0]
    changed["decision"]["region"] = "us-east"
    changed["decision"]["score_seconds"][0] = 9.0
    assert run([file(changed)]) == 1
    printed = capsys.readouterr().out
    assert "nearest DIFFERENT nearest ap-east: region: us-east -> ap-east" in printed
    assert "eu-central: 9.0 -> 0." in printed
    assert run([file(changed), "-o", "json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["is_same"], result["region"], len(result["differences"])) == (False, "ap-east", 2)


def test_a_file_without_decisions_does_not_pass(file: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([file("text", {"event": "listening"})]) == 2
    assert "holds no decision" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda each: each["region_views"].pop("name"), "line 2: the field 'name' is missing"),
        (lambda each: each["region_views"]["same"].update(rows="many"), "rows: "),
        (lambda each: each["route_request"].update(rtt_seconds=[0.1]), "line 2 is no decision record"),
        (lambda each: each.update(decision=3), "line 2 is no decision record"),
        (lambda each: each.update(region_views=None), "line 2 is no decision record"),
    ],
)
def test_a_broken_record_is_named(
    file: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], None],
    message: str,
) -> None:
    broken = records()[0]
    change(broken)
    assert run([file("text", broken)]) == 2
    assert message in capsys.readouterr().err


def test_an_absent_file_and_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["/nonexistent/file"]) == 2
    assert "/nonexistent/file" in capsys.readouterr().err
    assert run([]) == 2
    assert run(["--help"]) == 0


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(RECORDED.read_text(encoding="utf-8")))
    assert run(["-"]) == 0
    assert "DIFFERENT" not in capsys.readouterr().out


def test_both_programs_run_the_same_command() -> None:
    """The gateway's program, and the people's through its entry point."""
    for module, words in (("voxfleet_gateway", ["replay"]), ("voxfleet_cli", ["route", "replay"])):
        command = [sys.executable, "-m", module, *words, str(RECORDED)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (ended.returncode, ended.stderr) == (0, f"{len(records())} decisions, 0 different\n")
