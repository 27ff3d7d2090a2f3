"""Silent, failing and full pods cost no client its response as long as another pod, or time, is left."""

import asyncio
import time
from typing import Any

import pytest
from voxfleet_gateway.decisions.pods import circuit, ejection
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, ReceivedReport


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


class Pod:
    """Counts its requests and the most that were open at once."""

    def __init__(self, wire: Any, *pieces: bytes, takes: int = 1000, seconds: float = 0.0) -> None:
        self.wire, self.pieces, self.takes, self.seconds = wire, pieces, takes, seconds
        self.asked = self.open = self.full = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        self.open += 1
        try:
            if self.open > self.takes:
                self.full += 1
                writer.write(b"HTTP/1.1 503 B\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nfull")
            else:
                await asyncio.sleep(self.seconds)
                writer.write(b"".join(self.pieces))
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ejection, "FIRST_BYTE_SECONDS", 0.3)


def fine(wire: Any, **fields: Any) -> Pod:
    return Pod(wire, wire.ok + b"Content-Length: 4\r\n\r\nRIFF", **fields)


SILENT = {"nothing": b"", "a head only": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}


def silent(case: str) -> Any:
    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SILENT[case])
        await reader.read()  # until the gateway closes
        writer.close()

    return pod


@pytest.mark.parametrize("case", SILENT)
async def test_the_only_pod_is_silent_503_at_the_deadline(wire: Any, case: str) -> None:
    async with wire.gateway(silent(case)) as (port, gateway):
        began = time.monotonic()
        answer, _ = await wire.send(port, wire.post(extra=b"Prefer: wait=1\r\n"))
        (pod,) = gateway.fleet.regions[wire.key].pods.values()
        assert (pod.open_requests, pod.unanswered) == (0, 0)
    assert status(answer) == 503
    assert b"Retry-After" in answer
    assert time.monotonic() - began > 0.9


@pytest.mark.parametrize("case", SILENT)
async def test_a_silent_pod_beside_a_fine_one_costs_no_response(wire: Any, case: str) -> None:
    asked = 0
    hang = silent(case)

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await hang(reader, writer)

    async with wire.gateway(counting, fine(wire)) as (port, _):
        answers = [await wire.send(port, wire.post()) for _ in range(20)]
    assert {status(answer) for answer, _ in answers} == {200}
    assert asked <= 2


async def test_requests_without_a_byte_leave_a_pod_that_vanishes(wire: Any) -> None:
    async with wire.gateway(silent("nothing"), fine(wire)) as (port, gateway):
        gateway.fleet.draw = lambda: 0.0  # the silent one first
        ejection.FIRST_BYTE_SECONDS = 60.0
        asked = asyncio.create_task(wire.send(port, wire.post()))
        pods = gateway.fleet.regions[wire.key].pods
        async with asyncio.timeout(10):
            while not any(pod.unanswered for pod in pods.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        (lost,) = [pod for pod in pods.values() if pod.unanswered]
        rest = tuple(pod.endpoint for pod in pods.values() if pod is not lost)
        gateway.fleet.pods_behind = lambda _: rest
        gateway.speech.budget.balance = 0  # a lost pod costs no budget
        gateway.fleet.refresh()
        answer, _ = await asked
    assert status(answer) == 200


@pytest.mark.parametrize("code", [500, 502, 503, 302])
async def test_a_pod_that_always_fails_costs_no_response_even_at_a_slow_rate(wire: Any, code: int) -> None:
    bad = Pod(wire, b"HTTP/1.1 %d B\r\nContent-Length: 0\r\n\r\n" % code)
    async with wire.gateway(bad, fine(wire)) as (port, gateway):
        offset = 0.0
        gateway.fleet.clock = lambda: time.monotonic() + offset
        answers = []
        for _ in range(30):
            offset += 0.6  # one request every 0.6 s, with a report between
            for address, pod in gateway.fleet.regions[wire.key].pods.items():
                received = ReceivedReport(LoadReport(state="ready", free_rows=64), {}, gateway.fleet.clock())
                gateway.fleet.record_report(wire.key, address, received)
                assert pod.quarantined_since_seconds is None
            answers.append(await wire.send(port, wire.post()))
    assert {status(answer) for answer, _ in answers} == {200}
    assert bad.asked <= 4


async def test_a_request_that_fails_everywhere_takes_no_pod_from_the_others(wire: Any) -> None:
    pods = [Pod(wire, b"HTTP/1.1 500 B\r\nContent-Length: 0\r\n\r\n") for _ in range(2)]
    async with wire.gateway(*pods) as (port, _):
        await wire.send(port, wire.post())
        for pod in pods:
            pod.pieces = fine(wire).pieces
        answer, _ = await wire.send(port, wire.post())
    assert status(answer) == 200


async def test_requests_that_a_pod_cannot_take_is_held_again_and_all_are_answered(wire: Any) -> None:
    small = fine(wire, takes=8, seconds=0.02)
    ejection.FIRST_BYTE_SECONDS = 60.0
    async with wire.gateway(small, rules={"max_held_requests": 200}, keep_reporting=True) as (port, gateway):
        answers = await asyncio.gather(*(wire.send(port, wire.post(), wait=60) for _ in range(100)))
        (pod,) = gateway.fleet.regions[wire.key].pods.values()
        assert pod.open_requests == 0
    assert {status(answer) for answer, _ in answers} == {200}
    assert small.full < 100, "once the limit is learned it is kept"


async def test_a_pod_that_stays_full_answers_in_its_own_words_at_the_deadline(wire: Any) -> None:
    full = fine(wire, takes=0)
    async with wire.gateway(full) as (port, _):
        answer, _ = await wire.send(port, wire.post(extra=b"Prefer: wait=1\r\n"))
    assert (status(answer), answer.endswith(b"full")) == (503, True)
    assert b"Retry-After: 1\r\n" in answer


async def test_the_rows_and_the_queue_of_the_registry_bound_what_is_sent(wire: Any) -> None:
    async with wire.gateway(fine(wire), settings={"replicas": 2}) as (_, gateway):
        (model,) = gateway.fleet.registry().entries.values()
        serving = model.serving.model_copy(update={"max_queued_requests": 8})
        gateway.fleet.registry().put(model.model_copy(update={"serving": serving}))
        gateway.fleet.refresh()
        (pod,) = gateway.fleet.regions[wire.key].pods.values()
        assert pod.free_requests == (32 + 8) // 2


async def test_an_invalid_report_counts_as_none(wire: Any) -> None:
    async with wire.gateway(fine(wire)) as (port, gateway):
        (pod,) = gateway.fleet.regions[wire.key].pods.values()
        pod.received = None  # what load_poller leaves when every report of the pod was refused
        answer, _ = await wire.send(port, wire.post())
    assert status(answer) == 200


@pytest.mark.parametrize("header", [b"X-Stainless-Read-Timeout: 5.5\r\n", b"x-stainless-timeout: 5.5\r\n"])
async def test_a_client_s_own_timeout_ends_the_hold_with_an_answer_that_it_can_use(wire: Any, header: bytes) -> None:
    async with wire.gateway(predicted_wake_seconds=90) as (port, gateway):
        began = time.monotonic()
        answer, _ = await wire.send(port, wire.post(extra=header))
        held_seconds = time.monotonic() - began
        assert gateway.hold_queues.queues == {}
    assert status(answer) == 503
    assert 0.5 <= held_seconds < 5
    assert b"region_waking" in answer
    headers = answer.split(b"\r\n\r\n")[0].lower().split(b"\r\n")
    assert {b"retry-after: 60", b"x-should-retry: true"} <= {*headers}
    estimate = next(line for line in headers if line.startswith(b"voxfleet-wake-estimate: "))
    assert 80 < float(estimate.split(b": ")[1]) <= 90


async def test_events_keep_a_connection_open_longer_than_its_client_s_timeout(wire: Any) -> None:
    body = b'{"model":"m","input":"hi","stream_format":"sse"}'
    async with wire.gateway(rules={"hold_seconds": 2}) as (port, gateway):
        gateway.speech.keep_alive_seconds = 0.2
        answer, _ = await wire.send(port, wire.post(body, extra=b"X-Stainless-Read-Timeout: 5.1\r\n"))
    assert answer.count(b": keep-alive") >= 3
    assert b"event: error" in answer


class Ill(Pod):
    """Responds with 500 until it is well; speaks then."""

    is_well = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_well:
            return await super().__call__(reader, writer)
        await reader.readuntil(b"\r\n\r\n")
        await reader.read(65536)  # an unread body would reset the connection
        self.asked += 1
        writer.write(b"HTTP/1.1 500 B\r\nConnection: close\r\nContent-Length: 3\r\n\r\nill")  # or a retry may reuse it
        await writer.drain()
        writer.close()
        return None


async def test_a_region_whose_pods_all_fail_is_left_alone_and_tried_by_one(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit, "FIRST_OPEN_SECONDS", 1.5)  # the second one, of 3 s, outlasts the look at it below
    monkeypatch.setattr(ejection, "FIRST_BYTE_SECONDS", 30)
    audio = wire.ok + b"Content-Length: 5\r\n\r\naudio"
    pods = Ill(wire, audio), Ill(wire, audio)
    async with wire.gateway(*pods, keep_reporting=True) as (port, gateway):
        gateway.speech.budget.balance = 100.0
        for _ in range(2):
            assert status((await wire.send(port, wire.post()))[0]) == 500
        assert gateway.fleet.regions[wire.key].circuit.openings == 2, "the sixth attempt tried it"
        asked = sum(pod.asked for pod in pods)
        crowd = [asyncio.create_task(wire.send(port, wire.post(extra=b"Prefer: wait=60\r\n"), 60)) for _ in range(20)]
        await asyncio.sleep(0.1)
        assert sum(pod.asked for pod in pods) == asked, "nothing is sent while it is open"
        for pod in pods:
            pod.is_well = True
        answers = [status(answer) for answer, _ in await asyncio.gather(*crowd)]
    assert answers == [200] * 20
    assert sum(pod.asked for pod in pods) == asked + 20


async def test_each_attempt_carries_the_same_request_id(wire: Any) -> None:
    heads: list[bytes] = []

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if len(heads) < 3:
            writer.transport.abort()
            return
        writer.write(wire.ok + b"Content-Length: 5\r\n\r\naudio")
        writer.close()

    async with wire.gateway(reset, keep_reporting=True) as (port, gateway):
        began = time.monotonic()
        gateway.fleet.on_suspicion = lambda key, address: gateway.fleet.record_report(
            key, address, ReceivedReport(LoadReport(state="ready", free_rows=64), {}, time.monotonic())
        )
        answer, _ = await wire.send(port, wire.post(extra=b"X-Request-Id: same-id\r\n"))
        retried_seconds = time.monotonic() - began
    assert status(answer) == 200
    assert len(heads) == 3
    assert all(b"X-Request-Id: same-id\r\n" in head for head in heads)
    assert retried_seconds < 5, "no retry waits for a period of polls"
