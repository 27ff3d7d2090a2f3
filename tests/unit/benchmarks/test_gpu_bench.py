"""The GPU benchmark on a CPU with a small model, with PyTorch and numpy alone; and when parts of it fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS / "gpu"))

import part_supervisor  # noqa: E402 - the path first
from part_supervisor import PARTS, Attempt, first_attempt, next_attempt, supervise  # noqa: E402
from result_file import DeadDeviceError, ResultFile, Results, for_each  # noqa: E402
from result_tables import goals, tables  # noqa: E402

ABSENT = ("pydantic", "pydantic_core", "safetensors", "tokenizers", "av", "structlog", "torchaudio", "transformers")
BARE_MACHINE = f"""
import sys
sys.path = [each for each in sys.path if not each.endswith("/inference")]
for name in {(*ABSENT, "fastapi", "typer", "prometheus_client", "wetext", "httpx", "voxcpm")}:
    sys.modules[name] = None  # an import of it fails
"""
SMALL = ("--device=cpu", "--size=tiny", "--batches=1,2", "--streams=1,2", "--patches=4", "--text-patches=24")
FAULTY = f"""
import os, sys, time
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS / "gpu")!r}]
import gpu_bench, model_under_test, measured_parts, result_file, step_times

def fail(*_):
    raise RuntimeError("operation not permitted when stream is capturing")

step_and_parts = step_times._step_and_parts
def die_at_two(bench, rows):
    if rows == 2:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    return step_and_parts(bench, rows)

def hang(*_):
    time.sleep(60)

model_under_test.StepGraphs = fail
step_times._step_and_parts = die_at_two
measured_parts.measure_streams = lambda *_: os._exit(9)
measured_parts.measure_text = hang
result_file.GRACE_SECONDS = 0.1
measured_parts.PARTS["text"] = 0.1
sys.exit(gpu_bench.main())
"""


def benchmark(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run as on a machine without our dependencies; sitecustomize applies to every process that it starts."""
    (folder / "sitecustomize.py").write_text(BARE_MACHINE, encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    command = [sys.executable, str(BENCHMARKS / "gpu_bench.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=folder)


def test_every_part_is_measured_with_pytorch_and_numpy_alone(tmp_path: Path) -> None:
    done = benchmark(*SMALL, "--results", str(tmp_path), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "cpu-tiny.json").read_text(encoding="utf-8"))
    assert "error" not in json.dumps(found), done.stdout
    assert set(PARTS) <= set(found)
    assert [row["rows"] for row in found["steps"]["rows"]] == [1, 2]
    assert [row["streams"] for row in found["streams"]["rows"]] == [1, 2]
    assert {"solver", "codec", "encoder", "lms"} == set(found["steps"]["rows"][0]["part_ms"])
    assert found["profile"]["rows"][0]["step"]["kernels"] > found["profile"]["rows"][0]["solver"]["kernels"] > 0
    assert (found["text"]["sentences"], found["text"]["patches"], found["text"]["characters"]) == (12, 24, 300)
    assert found["parity"]["latents"]["ratio"] < 1.2
    assert found["parity"]["graph_against_eager"] < 1e-4
    assert [row["rows"] for row in found["plain"]["rows"]] == [1, 2]
    assert "not installed" in found["reference"]["absent"]
    assert "streams  first audio" in done.stdout
    assert "goal on an H200" in done.stdout
    assert [path.name for path in tmp_path.glob("*.json")] == ["cpu-tiny.json"]


def test_the_reference_is_measured_where_it_is_installed(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "gpu_bench.py"), *SMALL, "--parts=reference", f"--results={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads((tmp_path / "cpu-tiny.json").read_text(encoding="utf-8"))
    assert found["reference"]["eager_step_ms"] > 0, done.stdout + done.stderr


def test_without_a_gpu_the_command_says_what_to_do(tmp_path: Path) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(BENCHMARKS / "gpu_bench.py"), "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "--device cpu --size tiny" in done.stdout


def test_faults_of_every_kind_leave_the_other_results(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A capture fails, then the device fails in a step, then a process is killed, then one hangs."""
    into = tmp_path / "found.json"
    parts = ("start", "steps", "streams", "text", "kernels")
    supervise([sys.executable, "-c", FAULTY, *SMALL, f"--into={into}"], into, parts, 2, 300.0)
    found = json.loads(into.read_text(encoding="utf-8"))
    printed = capfd.readouterr().out
    assert "capturing" in found["failed_starts"][0]["error"], printed
    assert found["failed_starts"][0]["kernels_and_first_step_seconds"] > 0
    assert found["machine"]["mode"] == "launched"
    assert found["steps"]["rows"][0]["step_ms"] > 0
    assert "illegal memory access" in found["steps"]["rows"][1]["error"]
    assert found["streams"]["error"] == "its process ended with status 9"
    assert "stuck" in found["text"]["error"]
    assert len(found["kernels"]["rows"]) == 5
    assert sum(line.startswith("FAILED") for line in tables(found)) == 5


def started(error: str | None = None) -> Results:
    return {"start": {"error": error} if error else {}}


def test_a_failed_start_is_retried_with_less_until_nothing_is_left() -> None:
    wanted, tried = ("start", "steps", "reference"), []
    attempt: Attempt | None = first_attempt(wanted, 4)
    while attempt is not None:
        tried.append((attempt.mode, attempt.rows, attempt.parts))
        memory = "CUDA out of memory. Tried to allocate" if attempt.rows > 2 else "no gcc"
        found = started(memory) | ({"reference": {}} if attempt.parts == ("reference",) else {})
        attempt = next_attempt(attempt, wanted, found)
    ours = ("start", "steps")
    assert tried == [
        ("recorded", 4, ours),
        ("recorded", 2, ours),
        ("launched", 2, ours),
        ("plain", 2, ours),
        ("plain", 2, ("reference",)),
    ]


def test_a_new_process_measures_the_remaining_parts_until_one_makes_no_progress() -> None:
    attempt = Attempt(("start", "steps", "text"), "recorded", 4)
    after = next_attempt(attempt, attempt.parts, started() | {"steps": {"error": "CUDA error"}})
    assert after == Attempt(("text",), "recorded", 4)
    assert next_attempt(after, attempt.parts, started() | {"steps": {}}) is None  # it did not even begin
    assert next_attempt(after, attempt.parts, started() | {"steps": {}, "text": {}}) is None


def test_a_failed_size_leaves_the_others(tmp_path: Path) -> None:
    def half(size: int) -> Results:
        if size == 2:
            raise MemoryError("too large")
        return {"half": size / 2}

    freed: list[int] = []
    record = ResultFile(tmp_path / "found.json")
    record.part("sizes", lambda deadline: for_each("size", (1, 2, 4), deadline, half, lambda: freed.append(1)), 1e6)
    rows = ResultFile(tmp_path / "found.json").values["sizes"]["rows"]
    assert rows == [{"size": 1, "half": 0.5}, {"size": 2, "error": "MemoryError: too large"}, {"size": 4, "half": 2.0}]
    assert freed == [1]
    record.part("late", lambda _: for_each("size", (1, 2), 0.0, half, freed.clear), 1e6)
    assert record.values["late"]["stopped_for_time"]


def test_a_device_error_keeps_earlier_results(tmp_path: Path) -> None:
    def dying(size: int) -> Results:
        if size > 1:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return {}

    record = ResultFile(tmp_path / "found.json")
    with pytest.raises(DeadDeviceError):
        record.part("sizes", lambda deadline: for_each("size", (1, 2, 4), deadline, dying, list), 1e6)
    assert len(ResultFile(record.path).values["sizes"]["rows"]) == 2
    assert "CUDA error" in ResultFile(record.path).values["sizes"]["error"]


def test_goals_are_compared_with_results() -> None:
    found = {"steps": {"rows": [{"rows": 1, "step_ms": 2.5}, {"rows": 32, "error": "out of memory"}]}}
    verdicts = {what: value for what, _, _, value in goals(found)}
    assert (verdicts["ms per step, batch 1"], verdicts["ms per step, batch 32"]) == (2.5, None)
    lines = tables({"steps": {"rows": [found["steps"]["rows"][0] | {"times_real_time": 1.0, "part_ms": {}}]}})
    assert any(line.startswith("ms per step, batch 1 ") and line.endswith("yes") for line in lines)


def test_no_process_is_started_without_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    supervise(["/nonexistent"], tmp_path / "found.json", ("start", "text"), 1, 1.0)
    assert "no time left for start, text" in capsys.readouterr().out


def test_a_process_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_supervisor, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(part_supervisor, "LEAST_SECONDS", 0.5)
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    assert supervise(sleeper, tmp_path / "found.json", ("text",), 1, 1.0) < 60
