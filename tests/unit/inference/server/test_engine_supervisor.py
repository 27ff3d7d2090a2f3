"""An engine that dies or hangs, seen from the server: restarts, their bound, and liveness."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.messages import EngineGone, Loaded, LoadFailed, StepDone
from voxfleet_inference.server.engine_supervisor import EngineSupervisor, Failure
from voxfleet_inference.server.lifecycle import RESTART_WINDOW_SECONDS, Phase, lately_restarted, stalled_seconds
from voxfleet_inference.settings import ServeSettings
from voxfleet_inference.telemetry.metrics import Metrics

SPEECH = {"model": "voxcpm-1.5", "input": "A sentence.", "voice": "default", "response_format": "pcm"}


class StubEngine:
    """Stands where the engine's client stands."""

    def __init__(self) -> None:
        self.is_closed = False
        self.since: tuple[float, ...] = ()

    def close(self) -> None:
        self.is_closed = True

    def active_since(self) -> tuple[float, ...]:
        return self.since


class Supervised:
    """A supervisor whose engines start at once and whose warm-up waits for its gate."""

    def __init__(self, **changes: Any) -> None:
        settings = ServeSettings.model_validate({"model_path": "/nowhere", "device": "cpu", **changes})
        self.failures: list[Failure] = []
        self.engines: list[StubEngine] = []
        self.warm = asyncio.Event()
        self.metrics = Metrics()
        self.is_broken = False
        self.supervisor = EngineSupervisor(
            settings, self.metrics, lambda _: self.warm.wait(), self.failures.append, self.revive
        )
        self.supervisor.attach(self.started())

    def started(self) -> Any:
        self.engines.append(StubEngine())
        return self.engines[-1]

    async def revive(self) -> Any:
        if self.is_broken:
            raise OSError(12, "Cannot allocate memory")
        return self.started()

    def die(self) -> None:
        self.supervisor.observe(EngineGone("the engine process has ended"))

    @property
    def state(self) -> str:
        return self.supervisor.lifecycle.state


async def test_a_dead_engine_is_replaced_and_the_state_tells(tone_loaded: Loaded, wait_until: Any) -> None:
    server = Supervised()
    server.supervisor.observe(tone_loaded)
    server.warm.set()
    await wait_until(lambda: server.state == "ready")
    server.die()
    assert server.state == "loading"
    assert server.supervisor.lifecycle.message == "the engine process has ended; another one is being started"
    assert server.engines[0].is_closed
    await wait_until(lambda: len(server.engines) == 2)
    server.supervisor.observe(tone_loaded)
    await wait_until(lambda: server.state == "ready")
    assert server.supervisor.lifecycle.message == ""
    assert server.metrics.engine_restarts._value.get() == 1
    assert server.failures == []


async def test_an_engine_that_dies_while_it_warms_does_not_fail_the_server(
    tone_loaded: Loaded, wait_until: Any
) -> None:
    server = Supervised()
    server.supervisor.observe(tone_loaded)
    server.die()
    await wait_until(lambda: len(server.engines) == 2)
    assert (server.state, server.failures) == ("loading", [])


async def test_the_fourth_death_in_ten_minutes_is_the_last(wait_until: Any) -> None:
    server = Supervised()
    for deaths in range(1, 4):
        server.die()
        await wait_until(lambda wanted=deaths + 1: len(server.engines) == wanted)
    server.die()
    server.die()
    assert server.failures == [Failure("the engine process has ended", 4)]
    assert server.supervisor.trouble(0.0) == "the engine process has ended"


async def test_wrong_weights_are_not_tried_again() -> None:
    server = Supervised()
    server.supervisor.observe(LoadFailed("model.safetensors is missing"))
    server.die()
    assert server.failures == [Failure("model.safetensors is missing", 3)]
    assert len(server.engines) == 1


async def test_a_process_that_cannot_be_started_ends_the_server(wait_until: Any) -> None:
    server = Supervised()
    server.is_broken = True
    server.die()
    await wait_until(lambda: server.failures)
    assert server.failures[0].exit_code == 4
    assert "Cannot allocate memory" in server.failures[0].message


async def test_trouble_begins_when_a_step_is_owed_for_too_long(tone_loaded: Loaded, wait_until: Any) -> None:
    server = Supervised(max_step_seconds=5)
    now = server.supervisor._last_step_at
    server.engines[0].since = (now,)
    assert server.supervisor.trouble(now + 1e6) == "", "weights may take long to load"
    server.supervisor.observe(tone_loaded)
    server.warm.set()
    await wait_until(lambda: server.state == "ready")
    server.supervisor.observe(StepDone(0.1, (), running=1, waiting=0))
    now = server.supervisor._last_step_at
    assert server.supervisor.trouble(now + 4.9) == ""
    assert "no step for 5.1 s" in server.supervisor.trouble(now + 5.1)
    server.engines[0].since = ()
    assert server.supervisor.trouble(now + 60) == "", "nobody waits for anything"


def test_a_processor_may_take_longer_than_a_gpu() -> None:
    def allowed(**changes: Any) -> float:
        return ServeSettings.model_validate({"model_path": "/nowhere", **changes}).allowed_step_seconds

    assert allowed(device="cuda") == 5.0
    assert allowed(device="cpu") == 60.0
    assert allowed(device="cpu", max_step_seconds=7) == 7.0


@pytest.mark.parametrize(
    ("now", "active_since", "last_step_at", "active_rows", "seconds"),
    [
        (100.0, [], 0.0, 3, 0.0),  # all of them are parked by their listeners
        (100.0, [10.0], 99.0, 1, 1.0),
        (100.0, [98.0], 50.0, 0, 2.0),  # the engine slept; this one has just come
        (100.0, [10.0], 50.0, 0, 0.0),  # far ahead of its listener: the engine lets it rest
        (100.0, [10.0, 99.0], 50.0, 0, 1.0),  # the same, beside one that has just come
        (100.0, [97.0], 50.0, 1, 3.0),  # resumed by its listener after a long rest
    ],
)
def test_what_counts_as_owing_a_step(
    now: float, active_since: list[float], last_step_at: float, active_rows: int, seconds: float
) -> None:
    assert stalled_seconds(now, active_since, last_step_at, active_rows) == seconds


@given(st.lists(st.floats(0, 10_000), max_size=20), st.floats(0, 10_000))
def test_only_restarts_of_the_last_ten_minutes_count(restarts: list[float], now: float) -> None:
    assert all(now - at < RESTART_WINDOW_SECONDS for at in lately_restarted(restarts, now))
    assert set(restarts) - set(lately_restarted(restarts, now)) == {at for at in restarts if now - at >= 600}


async def test_a_hanging_engine_fails_liveness_and_recovers(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with (
        start_server(model, max_step_seconds=0.2) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
    ):
        await wait_until(lambda: server.service.lifecycle.phase is Phase.READY)
        model.gate = threading.Event()
        asking = asyncio.create_task(client.post("/v1/audio/speech", json=SPEECH))
        await wait_until(server.service.trouble)
        answer = await client.get("/health/live")
        assert answer.status_code == 503
        assert "no step for" in answer.json()["message"]
        model.gate.set()
        assert (await asking).status_code == 200
        assert (await client.get("/health/live")).status_code == 200
