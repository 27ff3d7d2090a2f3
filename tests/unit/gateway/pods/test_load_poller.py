"""Polling: with the right token, fast while a pod wakes, and unaffected by bad responses."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from voxfleet_gateway.decisions.pods.balancing import servable
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, PodState, ReceivedReport
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import LoadPoller, poll_period_seconds
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry
from voxfleet_gateway.tokens import pod_token

KEY = RegionKey("default", "narrator", "eu")


class Pod:
    """Responds to /internal/load."""

    def __init__(self) -> None:
        self.answer: Any = {"state": "loading"}
        self.status = 200
        self.respond: Any = None
        self.polled_at: list[float] = []

    @property
    def polls(self) -> int:
        return len(self.polled_at)

    def shortest_pause(self, since: int = 0) -> float:
        """Between two polls: a slow machine makes some of them longer, and none shorter."""
        return min(later - earlier for earlier, later in pairwise(self.polled_at[since:]))

    async def load(self, request: web.Request) -> web.StreamResponse:
        self.polled_at.append(time.monotonic())
        assert request.headers["Authorization"] == f"Bearer {pod_token('key', 'default', 'narrator')}"
        if self.respond is not None:
            return await self.respond(request)  # type: ignore[no-any-return]
        if isinstance(self.answer, bytes):
            return web.Response(body=self.answer, content_type="application/json")
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
def pod() -> Pod:
    return Pod()


@pytest.fixture
async def polled(pod: Pod) -> AsyncIterator[tuple[Fleet, LoadPoller]]:
    app = web.Application()
    app.router.add_get("/internal/load", pod.load)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    region = RegionEntry(name="eu", service=ObjectRef(namespace="default", name="s"))
    schema: Any = "voxfleet.dev/registry/v1"
    model = ModelEntry(schema=schema, namespace="default", name="narrator", model="m", regions=(region,))
    registry = Registry.of([model])
    endpoint = PodEndpoint(PodAddress("127.0.0.1", 1, runner.addresses[0][1]))
    fleet = Fleet(lambda: registry, lambda _service: (endpoint,), dict)
    async with aiohttp.ClientSession() as session:
        poller = LoadPoller(fleet, session, "key")
        fleet.refresh()
        poller.follow(KEY)
        yield fleet, poller
        await poller.stop()
    await runner.cleanup()


def servable_pods(fleet: Fleet) -> list[PodState]:
    return servable(fleet.regions[KEY].pods.values(), fleet.clock())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a test watches from outside
            await asyncio.sleep(0.01)


async def test_a_waking_pod_is_polled_ten_times_a_second(pod: Pod, polled: tuple[Fleet, LoadPoller]) -> None:
    await until(lambda: pod.polls >= 6)
    assert 0.09 < pod.shortest_pause() < 0.5
    assert not servable_pods(polled[0])
    pod.answer = {"state": "ready", "free_rows": 1, "unknown": "field"}
    await until(lambda: bool(servable_pods(polled[0])))
    (record,) = servable_pods(polled[0])
    assert record.received is not None
    assert record.received.raw["unknown"] == "field"
    polls = pod.polls
    await until(lambda: pod.polls >= polls + 2)
    assert pod.shortest_pause(since=polls) > 0.9, "a ready pod is polled every second"


BAD_REPORTS = [
    b"", b"{", b"[]", b'{"state": "dancing"}', b'{"state": 1}', b"\xff", b"null", b"[" * 15_000,
    b'{"state": "ready", "running_sequences": -1}', b'{"state": "ready", "free_rows": 1' + b"0" * 400 + b"}",
    b'{"state": "ready", "free_rows": 1e999}', b'{"state": "ready", "queued_audio_seconds": NaN}',
    b'{"state": "ready", "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b'{"state": "ready", "x": "' + b"a" * 2**20 + b'"}',
]  # fmt: skip


@pytest.mark.parametrize("answer", BAD_REPORTS)
async def test_a_bad_response_changes_nothing(pod: Pod, polled: tuple[Fleet, LoadPoller], answer: bytes) -> None:
    pod.answer = answer
    await until(lambda: pod.polls >= 2)  # so the first answer has been read
    (record,) = polled[0].regions[KEY].pods.values()
    assert record.received is None
    pod.answer = {"state": "ready"}
    await until(lambda: bool(servable_pods(polled[0])))  # a later good one counts


async def test_polling_ends_with_the_pod(pod: Pod, polled: tuple[Fleet, LoadPoller]) -> None:
    fleet, poller = polled
    fleet.pods_behind = lambda _service: ()
    fleet.refresh()
    poller.follow(KEY)
    assert poller.tasks == {}
    polls = pod.polls
    await asyncio.sleep(0.25)
    assert pod.polls <= polls + 1


def test_polling_is_fast_only_while_a_pod_may_become_ready() -> None:
    now = 5.0
    pod = PodState(PodEndpoint(PodAddress("10.0.0.1")))
    assert poll_period_seconds(pod, now) == pytest.approx(0.1)
    for state, period in (("loading", 0.1), ("warming", 0.1), ("ready", 1), ("draining", 1), ("failed", 1)):
        pod.record_report(ReceivedReport(LoadReport(state=state), {}, now))
        assert poll_period_seconds(pod, now) == pytest.approx(period)


async def test_an_endless_report_is_left_at_the_bound(pod: Pod, polled: tuple[Fleet, LoadPoller]) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b"[" * 2**16)
            sent += 2**16

    pod.respond = endless
    await until(lambda: pod.polls >= 2)
    pod.respond = None
    assert sent < 2**24, "no more than what sockets buffer was sent"
    await until(lambda: bool(polled[0].regions[KEY].pods))
    pod.answer = {"state": "ready"}
    await until(lambda: bool(servable_pods(polled[0])))


async def test_no_exception_ends_the_polling(
    pod: Pod, polled: tuple[Fleet, LoadPoller], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_body: bytes) -> None:
        raise RecursionError

    with monkeypatch.context() as patched:
        patched.setattr("voxfleet_gateway.pods.load_poller.parse_report", broken)
        polls = pod.polls
        await until(lambda: pod.polls >= polls + 2)
    pod.answer = {"state": "ready"}
    await until(lambda: bool(servable_pods(polled[0])))


async def test_a_suspected_pod_is_polled_at_once(pod: Pod, polled: tuple[Fleet, LoadPoller]) -> None:
    fleet, poller = polled
    fleet.on_suspicion = poller.poll_now
    pod.answer = {"state": "ready"}
    await until(lambda: bool(servable_pods(fleet)))
    (record,) = servable_pods(fleet)
    waits = []
    for _ in range(5):
        began = time.monotonic()
        fleet.record_failure(KEY, record, UpstreamFailure.RESET)
        await until(lambda: bool(servable_pods(fleet)))
        waits.append(time.monotonic() - began)
    assert min(waits) < 0.3, "not after the rest of a second"


async def test_requests_without_a_byte_leave_a_pod_that_stopped_reporting(
    pod: Pod, polled: tuple[Fleet, LoadPoller]
) -> None:
    fleet, _ = polled
    pod.answer = {"state": "ready"}
    await until(lambda: bool(servable_pods(fleet)))
    (record,) = servable_pods(fleet)
    offset = 0.0
    fleet.clock = lambda: time.monotonic() + offset
    pod.status = 500

    async def attempt() -> None:
        nonlocal offset
        async with fleet.attempts.first_byte(record, 60):
            offset = 6.0
            await asyncio.sleep(60)

    with pytest.raises(UpstreamFailedError) as caught:
        await attempt()
    assert caught.value.failure is UpstreamFailure.LOST
    assert (record.unanswered, fleet.attempts.timers) == (0, {})
