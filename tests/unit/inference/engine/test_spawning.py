"""The engine process that starts before its settings are known is used once, or ended."""

from __future__ import annotations

import subprocess
import sys

import pytest
from voxfleet_inference.engine import spawning
from voxfleet_inference.engine.spawning import EarlyEngine, SpawnedEngine


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[SpawnedEngine]:
    """Every engine process that was started; instead of loading a model, it waits for the end of its socket."""
    started: list[SpawnedEngine] = []
    spawn_engine, popen = spawning.spawn_engine, subprocess.Popen
    wait = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).recv(1)"

    def start(command: list[str], **more: object) -> subprocess.Popen[bytes]:
        return popen([sys.executable, "-c", wait, command[-1]], **more)  # type: ignore[call-overload,no-any-return]

    def spawn() -> SpawnedEngine:
        started.append(spawn_engine())
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(spawning, "spawn_engine", spawn)
    return started


def end(engine: SpawnedEngine) -> None:
    engine.socket.close()
    engine.process.wait(60)


def test_the_early_process_is_taken_once(spawned: list[SpawnedEngine]) -> None:
    early = EarlyEngine()
    early.spawn()
    first, second = early.take(), early.take()
    early.end_unused()
    assert [first, second] == spawned
    assert first.process.poll() is second.process.poll() is None
    end(first)
    end(second)


def test_an_unused_process_is_ended(spawned: list[SpawnedEngine]) -> None:
    early = EarlyEngine()
    early.spawn()
    early.end_unused()
    early.end_unused()
    assert spawned[0].process.returncode is not None


def test_an_early_process_that_died_is_replaced(spawned: list[SpawnedEngine]) -> None:
    early = EarlyEngine()
    early.spawn()
    spawned[0].process.kill()
    spawned[0].process.wait(60)
    taken = early.take()
    assert taken is spawned[1]
    end(taken)


def test_it_imports_no_package() -> None:
    code = "import sys, voxfleet_inference.__main__; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "typer", "pydantic", "torch", "structlog"} & {*printed}
