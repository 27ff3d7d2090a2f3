"""The command as a user has it: a bundled scenario in short form with its goals, output, plots, errors."""

import json
from pathlib import Path

import pytest
from voxfleet_simulation.commands import run

SHORT = ["quiet-app", "--jobs", "1", "--no-sweeps"]


def test_a_quiet_app_reaches_its_goals_and_is_the_same_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("one.json", "two.json")]
    codes = [run([*SHORT, "--only", "constant at the peak", "--json", str(file)]) for file in files]
    assert codes == [0, 0]
    assert files[0].read_bytes() == files[1].read_bytes()
    found = json.loads(files[0].read_text())
    assert {goal["name"]: goal["is_reached"] for goal in found["goals"]} == {
        "GPU-hours saved": True,
        "money saved": True,
        "p95 outside wakes / constant at the peak": True,
    }
    own = found["runs"]["voxfleet"]
    assert own["outcomes"]["served"] == own["requests"]
    assert own["wakes"] > 5
    assert found["oracle"]["delays"]["mean"] <= own["all"]["mean"]
    assert found["oracle"]["gpu_hours"] < own["gpu_hours"]
    out, err = capsys.readouterr()
    assert "GPU-hours" in out
    assert "events/s" in err


@pytest.mark.parametrize(("load", "goal"), [(0.5, 1.1), (0.8, 1.4)])  # the design's goals
def test_routing_is_close_to_the_oracle(load: float, goal: float) -> None:
    requests = round(load * 40 * 360)  # 40 rows, six minutes, a second each
    changes = ["period.hours=0.1", f"demand.requests={requests}", f"goals.oracleDelayRatio={goal}"]
    options = [option for change in changes for option in ("--set", change)]
    assert run(["load-study", "--jobs", "1", "--only", "--no-sweeps", *options]) == 0


def test_json_on_stdout_plots_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    sweep = ["--set", "sweeps.idleTimeoutSeconds=[300, 1800]", "--set", "demand.requests=20", "--set", "period.hours=6"]
    files = ["--png", str(tmp_path), "--html", str(page)]
    code = run(["quiet-app", "--jobs", "1", "--only", "--output", "json", *sweep, *files])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["idle_timeout"]["break_even_seconds"] in {300, 1800}
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {f"quiet-app_{name}.png" for name in ("delays", "servers", "money", "idle_timeout")}
    text = page.read_text()
    assert text.count("<svg") == 4
    assert "prefers-color-scheme: dark" in text
    assert not {"<script", "http-equiv", "src="} & set(text.split())


def test_a_missed_goal_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    code = run([*SHORT, "--only", "constant at the peak", "--set", "goals.gpuHoursSaved=0.99"])
    assert code == 1
    assert "MISSED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "name a scenario"),
        (["nowhere"], "'nowhere' is neither a file nor a bundled scenario (global-day, "),
        (["quiet-app", "--set", "seed"], "--set 'seed': give FIELD=VALUE"),
        (["quiet-app", "--set", "seed=-1"], "seed: .*given -1"),
        (["quiet-app", "--set", "spec.regions.7.name=x"], "'7' leads nowhere"),
    ],
)
def test_a_wrong_argument_is_exit_code_2_and_a_message(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("voxfleet simulate: ")
    assert expected.split(".*", maxsplit=1)[0] in message


def test_the_bundled_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--list"]) == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {"quiet-app", "global-day", "surge", "region-lost", "spot-drought", "load-study"} <= names
