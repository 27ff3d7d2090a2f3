"""The supervisor of an engine that dies or hangs: kill, restarts, their limit, and liveness."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.admission.request_tracker import RequestTracker
from voxfleet_inference.engine.messages import EngineGone, Idle, Loaded, LoadFailed, Occupancy, StepDone
from voxfleet_inference.server.engine_supervisor import EngineControl, EngineSupervisor, Failure
from voxfleet_inference.server.lifecycle import RESTART_WINDOW_SECONDS, Phase, recent_restarts
from voxfleet_inference.settings import ServeSettings

SPEECH = {"model": "voxcpm-1.5", "input": "A sentence.", "voice": "default", "response_format": "pcm"}


class StubEngine:
    """The part of `EngineClient` that the supervisor uses."""

    def __init__(self) -> None:
        self.is_closed = False
        self.oldest_pending_at: float | None = None

    def close(self) -> None:
        self.is_closed = True


class Supervised:
    """A supervisor whose engines start at once and whose warm-up waits for its gate."""

    def __init__(self, **changes: Any) -> None:
        settings = ServeSettings.model_validate({"model_path": "/nowhere", "device": "cpu", **changes})
        self.failures: list[Failure] = []
        self.engines: list[StubEngine] = []
        self.warm = asyncio.Event()
        self.tracker = RequestTracker(settings)
        self.metrics = self.tracker.metrics
        self.is_broken = False
        self.kills = 0
        self.supervisor = EngineSupervisor(
            settings,
            self.tracker,
            lambda *_: self.warm.wait(),
            self.failures.append,
            EngineControl(self.kill, self.restart),
        )
        self.supervisor.attach(self.started())

    def started(self) -> Any:
        self.engines.append(StubEngine())
        return self.engines[-1]

    async def restart(self) -> Any:
        if self.is_broken:
            raise OSError(12, "Cannot allocate memory")
        return self.started()

    def kill(self) -> None:
        self.kills += 1

    def check_until(self, until: float) -> None:
        """Check every quarter second from now on."""
        for quarter in range(int((until - time.monotonic()) * 4) + 1):
            self.supervisor.check(time.monotonic() + quarter / 4)

    def die(self) -> None:
        self.supervisor.observe(EngineGone("the engine process has ended"))

    @property
    def state(self) -> str:
        return self.supervisor.lifecycle.state


async def test_a_dead_engine_is_replaced_and_the_state_follows(tone_loaded: Loaded, wait_until: Any) -> None:
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
    assert server.supervisor.liveness_error(0.0) == "the engine process has ended"


async def test_wrong_weights_are_not_loaded_again() -> None:
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


async def ready(loaded: Loaded, wait_until: Any, **changes: Any) -> Supervised:
    server = Supervised(**changes)
    server.supervisor.observe(loaded)
    server.warm.set()
    await wait_until(lambda: server.state == "ready")
    return server


async def test_liveness_fails_when_a_step_is_due_for_too_long(tone_loaded: Loaded, wait_until: Any) -> None:
    server = await ready(tone_loaded, wait_until, max_step_seconds=5)
    now = time.monotonic()
    server.supervisor.observe(StepDone(0.1, (), Occupancy(running=1, waiting=0)))
    assert server.supervisor.liveness_error(now + 4.9) == ""
    assert "no step for" in server.supervisor.liveness_error(now + 7), "although no command is pending"
    server.supervisor.observe(Idle(Occupancy(running=1, waiting=1, parked=1)))
    assert server.supervisor.liveness_error(now + 60) == "", "the engine has processed every command"
    server.engines[0].oldest_pending_at = now
    assert "no step for" in server.supervisor.liveness_error(now + 7), "a command is pending"


async def test_a_hanging_engine_is_killed_once_and_replaced(tone_loaded: Loaded, wait_until: Any) -> None:
    server = await ready(tone_loaded, wait_until, max_step_seconds=5)
    server.engines[0].oldest_pending_at = time.monotonic()
    server.check_until(time.monotonic() + 4.5)
    assert server.kills == 0
    server.check_until(time.monotonic() + 8)
    assert server.kills == 1
    assert server.state == "ready"
    assert server.supervisor.liveness_error(time.monotonic() + 8), "liveness fails until the process is gone"
    server.die()
    assert "no step for" in server.supervisor.lifecycle.message
    assert server.supervisor.lifecycle.message.endswith("it was killed; another one is being started")
    await wait_until(lambda: len(server.engines) == 2)
    assert server.supervisor.liveness_error(time.monotonic() + 8) == ""
    assert (server.metrics.engine_restarts._value.get(), server.failures) == (1, [])


async def test_hanging_too_often_ends_the_server_with_the_reason(tone_loaded: Loaded, wait_until: Any) -> None:
    server = await ready(tone_loaded, wait_until, max_step_seconds=5, max_engine_restarts=0)
    server.engines[0].oldest_pending_at = time.monotonic()
    server.check_until(time.monotonic() + 8)
    server.die()
    assert server.failures[0].exit_code == 4
    assert "no step for" in server.failures[0].message


async def test_an_engine_that_survives_its_kill_ends_the_server(tone_loaded: Loaded, wait_until: Any) -> None:
    """A driver can delay the end of a killed process for ever."""
    server = await ready(tone_loaded, wait_until, max_step_seconds=5)
    server.engines[0].oldest_pending_at = time.monotonic()
    server.check_until(time.monotonic() + 14)
    assert server.failures == []
    server.check_until(time.monotonic() + 30)
    assert server.kills == 1
    assert [failure.exit_code for failure in server.failures] == [4]
    assert "its process does not end after a kill" in server.failures[0].message


async def test_loading_has_no_time_limit_and_the_warm_up_ten_times_the_usual(tone_loaded: Loaded) -> None:
    server = Supervised(max_step_seconds=5)
    server.engines[0].oldest_pending_at = time.monotonic()
    server.check_until(time.monotonic() + 1000)
    assert (server.state, server.kills) == ("loading", 0)
    assert server.supervisor.liveness_error(time.monotonic() + 1000) == ""
    server.supervisor.observe(tone_loaded)
    server.check_until(time.monotonic() + 49)
    assert (server.state, server.kills) == ("warming", 0)
    server.check_until(time.monotonic() + 55)
    assert server.kills == 1


def test_a_cpu_may_take_longer_than_a_gpu() -> None:
    def allowed(**changes: Any) -> float:
        return ServeSettings.model_validate({"model_path": "/nowhere", **changes}).allowed_step_seconds

    assert allowed(device="cuda") == 5.0
    assert allowed(device="cpu") == 60.0
    assert allowed(device="cpu", max_step_seconds=7) == 7.0


@given(st.lists(st.floats(0, 10_000), max_size=20), st.floats(0, 10_000))
def test_only_restarts_of_the_last_ten_minutes_count(restarts: list[float], now: float) -> None:
    assert all(now - at < RESTART_WINDOW_SECONDS for at in recent_restarts(restarts, now))
    assert set(restarts) - set(recent_restarts(restarts, now)) == {at for at in restarts if now - at >= 600}


async def test_a_hanging_engine_fails_liveness_and_recovers(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with (
        start_server(model, max_step_seconds=0.2) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60) as client,
    ):
        await wait_until(lambda: server.lifecycle.phase is Phase.READY)
        model.gate = threading.Event()
        asking = asyncio.create_task(client.post("/v1/audio/speech", json=SPEECH))
        await wait_until(lambda: server.service.supervisor.liveness_error(time.monotonic()))
        answer = await client.get("/health/live")
        assert answer.status_code == 503
        assert "no step for" in answer.json()["message"]
        model.gate.set()
        assert (await asking).status_code == 200
        assert (await client.get("/health/live")).status_code == 200


async def test_a_request_that_waits_behind_parked_sequences_is_no_stall(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    """A client that reads nothing has parked every slot's sequence: the engine is idle although a request waits."""
    model = make_model(slots=1)
    async with start_server(model, max_step_seconds=0.2, max_buffered_audio_seconds=1.6) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        body = json.dumps({**SPEECH, "input": "words and " * 400}).encode()
        writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.read(1)
        await wait_until(lambda: server.load.parked_sequences == 1)
        waiting = server.load.waiting_sequences
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            asking = asyncio.create_task(client.post("/v1/audio/speech", json=SPEECH))
            await wait_until(lambda: server.load.waiting_sequences > waiting)
            for _ in range(20):  # five times what one step may take
                assert server.service.supervisor.liveness_error(time.monotonic()) == ""
                await asyncio.sleep(0.05)
            writer.close()
            assert (await asking).status_code == 200
