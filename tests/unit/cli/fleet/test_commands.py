"""`voxfleet status` and `voxfleet explain`: tables, sentences, exit codes."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner
from voxfleet_cli.__main__ import app
from voxfleet_cli.errors import ClusterError
from voxfleet_cli.fleet import commands

FOLDER = "/apis/voxfleet.dev/v1alpha1/namespaces/apps/voxttsdeployments"


def resource(name: str, ready: str, *regions: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "reason": "Serving", "message": "one region failed"}]
    metadata = {"namespace": "apps", "name": name, "generation": 1}
    return {"metadata": metadata, "status": {"conditions": conditions, "regions": [*regions]}}


AWAKE = {"name": "eu", "phase": "Awake", "readyReplicas": 2, "desiredReplicas": 3, "spotReplicas": 1}
FAILED = {"name": "us", "phase": "Failed", "message": "no node", "failure": {"reason": "WakeTimeout"}}


@pytest.fixture
def run(served: Any) -> Any:
    api, _ = served
    good = resource("good", "True", AWAKE | {"awakeUntil": "2026-11-30T10:12:00Z"})
    bad = resource("bad", "False", FAILED)
    new = {"metadata": {"namespace": "apps", "name": "new"}}
    api.objects |= {FOLDER: {"items": [good, bad, new]}, f"{FOLDER}/good": good, f"{FOLDER}/bad": bad}

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*arguments, "--kubeconfig", api.kubeconfig])

    return invoke


def test_status_of_a_namespace(run: Any) -> None:
    result = run("status")
    _, bad, good, new = result.output.splitlines()
    assert result.exit_code == 3
    assert bad.split() == ["apps", "bad", "no", "us", "Failed", "0/0", "no", "node"]
    assert good.split() == ["apps", "good", "yes", "eu", "Awake", "2/3", "1", "2026-11-30", "10:12:00"]
    assert new.split() == ["apps", "new", "no", "no", "status", "yet"]


def test_status_of_one_resource_and_as_json(run: Any) -> None:
    assert run("status", "good").exit_code == 0
    (row,) = json.loads(run("status", "good", "-o", "json").output)
    assert (row["name"], row["ready"], row["regions"][0]["phase"]) == ("good", True, "Awake")


def test_watching_shows_changes_until_the_user_ends_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(commands.time, "sleep", sleep)
    result = run("status", "good", "--watch")
    assert (result.exit_code, pauses) == (0, [2.0, 2.0])
    assert "good" in result.output


def test_explain_says_why_and_what_helps(run: Any) -> None:
    result = run("explain", "bad")
    assert result.exit_code == 3
    assert result.output.splitlines() == [
        "apps/bad: Ready is False (Serving), 0 replicas",
        "",
        "region us: Failed",
        "  WakeTimeout: its last wake failed.",
        "  The next request wakes it again.",
        "  no node",
        "condition Ready: False (Serving)",
        "  one region failed",
    ]
    assert run("explain", "good").exit_code == 0


def test_explain_as_json(run: Any) -> None:
    found = json.loads(run("explain", "bad", "-o", "json").output)
    assert (found["ready"], [each["subject"] for each in found["findings"]]) == (
        False,
        ["region us", "condition Ready"],
    )


def test_each_change_is_shown_once_and_an_error_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    awake, asleep = resource("good", "True", AWAKE), resource("good", "True", AWAKE | {"phase": "Asleep"})
    steps: list[Any] = [[awake], [awake], ClusterError("away"), ClusterError("away"), [awake], [asleep]]

    def read() -> Any:
        if not steps:
            raise KeyboardInterrupt
        step = steps.pop(0)
        if isinstance(step, ClusterError):
            raise step
        return step

    monkeypatch.setattr(commands.time, "sleep", lambda _seconds: None)
    shown = [
        (found[0]["status"]["regions"][0]["phase"], error)
        for found, error in commands.changes(read, commands.table_rows)
    ]
    assert shown == [("Awake", ""), ("Awake", "away"), ("Awake", ""), ("Asleep", "")]


def test_a_watch_shows_no_table_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    wakes = iter(("1.0", "2.0"))

    def read() -> list[dict[str, Any]]:
        wake = next(wakes, None)
        if wake is None:
            raise KeyboardInterrupt
        region = {"name": "eu", "phase": "Awake", "lastWake": {"totalSeconds": wake}}  # in no column
        return [{"metadata": {"namespace": "vox", "name": "a"}, "status": {"regions": [region]}}]

    monkeypatch.setattr(commands.time, "sleep", lambda _seconds: None)
    assert len(list(commands.changes(read, commands.table_rows))) == 1


def test_a_watch_in_a_pipe_has_a_line_of_json_for_each_change(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands.time, "sleep", lambda _seconds: (_ for _ in ()).throw(KeyboardInterrupt))
    lines = run("status", "--watch", "-o", "json").stdout.splitlines()
    assert [row["name"] for row in json.loads(lines[0])] == ["bad", "good", "new"]
    assert len(lines) == 1
