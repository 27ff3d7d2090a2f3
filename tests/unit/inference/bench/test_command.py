"""The command as people run it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from voxfleet_inference.bench.command import plan_of
from voxfleet_inference.bench.schedule import Plan
from voxfleet_inference.commands.cli import app


async def started(url: str, *flags: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "voxfleet_inference", "bench", "--url", url, *flags]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env={**os.environ})


async def test_a_bench_prints_a_table_and_writes_json(server: Any, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("First line.\n\n第二行。\n", encoding="utf-8")
    flags = ("--requests", "3", "--text-file", str(texts), "--json", str(tmp_path / "out.json"))
    running = await started(server.url, *flags, "--extra", '{"seed": 5}')
    output, errors = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0, errors
    assert b"3 complete, 0 failed" in output
    results = json.loads((tmp_path / "out.json").read_text())
    parameters, measured = results["parameters"], results["measured"]
    assert (measured["completed"], parameters["seed"], parameters["requests"]) == (3, 5, 3)
    assert measured["audio_seconds"] == pytest.approx((11 + 4 + 11) * 0.16, abs=0.1)


async def test_ctrl_c_prints_what_was_measured_so_far(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.005
    running = await started(server.url, "--seconds", "600", "--concurrency", "2")
    await wait_until(lambda: server.load.last_request_finished_at is not None)
    running.send_signal(signal.SIGINT)
    output, errors = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 0, errors
    assert b"complete, 0 failed, 2 unfinished" in output
    assert b"Traceback" not in errors


async def test_a_run_without_a_complete_response_fails(server: Any) -> None:
    running = await started(server.url, "--model", "another", "--requests", "2")
    output, errors = await asyncio.wait_for(running.communicate(), 60)
    assert running.returncode == 1
    assert b"404 model_not_found  2" in output
    message = b"404 model_not_found: the model 'another' does not exist; this server has 'voxcpm-1.5'"
    assert errors.count(message) == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--url", "here"], "--url: 'here' is no URL"),
        (["--url", "http://a", "--extra", "[1]"], "must be a JSON object"),
        (["--url", "http://a", "--extra", "{"], "is no JSON"),
        (["--url", "http://a", "--text-file", "/nowhere"], "--text-file /nowhere cannot be read"),
        (["--url", "http://a", "--text-file", os.devnull], "has no text"),
    ],
)
def test_a_wrong_option_is_reported_in_one_line(flags: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["bench", *flags])
    assert done.exit_code == 2
    assert words in done.output
    assert len(done.output.splitlines()) == 1


def test_a_plan_always_ends() -> None:
    assert plan_of(3, None, None, None, 0) == Plan(concurrency=3, requests=12)
    assert plan_of(None, None, None, 2.0, 7) == Plan(concurrency=1000, seconds=30.0, rate=2.0, seed=7)
    assert plan_of(None, 5, None, None, 0) == Plan(concurrency=1, requests=5)
