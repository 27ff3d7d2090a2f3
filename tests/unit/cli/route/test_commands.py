"""`voxfleet route explain`: what is printed, and the exit codes."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app
from voxfleet_cli.gateways import KEY_VARIABLE
from voxfleet_cli.route.commands import duration, regions_table

WAITS = {"queue_wait": 0.0, "wake_wait": 41.2, "circuit_wait": 0.0, "price": 0.005}
REGIONS = [
    {
        "region": "ap-east",
        "is_chosen": False,
        "state": "asleep; a wake takes about 41 s",
        "verdict": "not used: expected 41.0 s later",
        "filtered_by": None,
        "rtt_seconds": 0.026,
        "waits": WAITS,
        "score_seconds": 41.231,
    },
    {
        "region": "us-east",
        "is_chosen": True,
        "state": "awake: 2 servers",
        "verdict": "chosen: it serves now",
        "filtered_by": None,
        "rtt_seconds": 0.2,
        "waits": WAITS | {"wake_wait": 0.0},
        "score_seconds": 0.205,
    },
]
ANSWER = {
    "gateway": "voxfleet-gateway-1",
    "gateway_region": "us-east",
    "model": "apps/narrator",
    "client": "203.0.113.9",
    "action": "serve",
    "region": "us-east",
    "route": "spill-wake",
    "words": {
        "summary": "ap-east is nearer, but asleep.",
        "client": "The client is at 31.20, 121.50.",
        "wakes": "A request wakes ap-east.",
        "regions": REGIONS,
    },
    "record": {"event": "request"},
}


@pytest.fixture
def explain(served: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    _, gateway = served
    monkeypatch.setenv(KEY_VARIABLE, "k")

    def run(*arguments: str, answer: Any = ANSWER) -> Any:
        gateway.answer = answer
        url = f"http://127.0.0.1:{gateway.port}"
        given = ["route", "explain", "--client", "203.0.113.9", "--model", "m", "--gateway", url, *arguments]
        return CliRunner().invoke(app, given), gateway.requests[-1][1]

    return run


def test_text(explain: Any) -> None:
    result, query = explain("--country", "CN")
    assert result.exit_code == 0
    assert query == {"client": "203.0.113.9", "model": "m", "country": "CN"}
    head, table = result.output.split("\n\n")
    assert head.splitlines() == [
        "model    apps/narrator",
        "gateway  voxfleet-gateway-1 of us-east",
        "client   203.0.113.9: The client is at 31.20, 121.50.",
        "outcome  served by us-east (spill-wake): ap-east is nearer, but asleep.",
        "wakes    A request wakes ap-east.",
    ]
    header, first, second = table.strip("\n").splitlines()
    assert header.split() == ["REGION", "SCORE", "ROUND", "TRIP", "WAKE", "WAIT", "PRICE", "STATE", "VERDICT"]
    assert first.split()[:6] == ["*", "us-east", "205", "ms", "200", "ms"], "the best score first"
    assert second.split()[:4] == ["ap-east", "41.2", "s", "26"]
    assert second.endswith("asleep; a wake takes about 41 s  not used: expected 41.0 s later")


def test_json_is_the_answer(explain: Any) -> None:
    result, _ = explain("-o", "json")
    assert json.loads(result.output) == ANSWER


def test_a_refusal_has_an_exit_code_of_its_own(explain: Any) -> None:
    result, _ = explain(answer=ANSWER | {"action": "refuse", "region": None, "route": "forbidden"})
    assert result.exit_code == 3
    assert "outcome  refused (forbidden): " in result.output


def test_filtered_regions_come_last_and_no_regions_are_a_table_too() -> None:
    filtered = REGIONS[0] | {"score_seconds": None, "region": "filtered"}
    table = regions_table([filtered, REGIONS[1]])
    assert [*table.columns[1].cells] == ["us-east", "filtered"]
    assert [*table.columns[2].cells] == ["205 ms", "-"]
    assert regions_table([]).row_count == 0


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0 ms"), (0.0263, "26 ms"), (1.0, "1.0 s"), (41.23, "41.2 s")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
