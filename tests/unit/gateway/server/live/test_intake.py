"""Sessions of tenants: admitted, limited and billed as requests are, by the audio that was sent."""

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

AUTH = {"Authorization": "Bearer all"}
END = {"type": "session.end"}
SECOND = b"\0" * 44_100  # of pcm at 22,050 Hz


def text(characters: int) -> dict[str, Any]:
    return {"type": "text.append", "text": "x" * characters}


async def usage(there: Any, count: int = 1) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while len(there.lines) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert len(there.lines) == count
    return dict(there.lines[-1])


@pytest.fixture
def pod(live: Any) -> Any:
    """Return a pod that speaks one second per text."""

    async def speak(pod: Any, socket: Any) -> None:
        start = await pod.next(socket)
        form = start.get("response_format", "mp3")
        await live.event(socket, "session.started", seed=7, response_format=form, sample_rate=22_050)
        while (message := await pod.next(socket))["type"] != "session.end":
            for half in (SECOND[:22_050], SECOND[22_050:]) if message["type"] == "text.append" else ():
                await socket.send(half)
        await live.event(socket, "session.done", usage={})

    return live.pod(speak)


@pytest.mark.parametrize(
    ("response_format", "seconds", "source"), [("pcm", 2.0, "bytes"), ("opus", 200 * 0.075, "estimate")]
)
async def test_a_session_is_billed_by_what_it_sent(
    keyed: Any, live: Any, pod: Any, response_format: str, seconds: float, source: str
) -> None:
    start = live.start | {"response_format": response_format}
    async with live.listening(pod) as ports, keyed(*ports, limits={"audioSecondsPerMinute": 30}) as there:
        async with live.client(there.port, additional_headers=AUTH) as socket:
            await live.send(socket, text(50), start | {"model": "x", "input": "lost"}, start, text(100), text(100), END)
            await live.read_all(socket)
        line = await usage(there)
        used = there.gateway.speech.accounts.uses["acme"]
        assert used.audio.used(there.gateway.speech.accounts.clock()) == pytest.approx(seconds)
        assert used.open_requests == 0
        assert there.gateway.speech.recent.by_tenant == {"acme": "d/n"}
    assert (line["tenant"], line["key_id"], line["model"], line["status"]) == ("acme", "k-all", "d/n", 200)
    assert (line["characters"], line["audio_seconds"], line["audio_seconds_source"]) == (200, seconds, source)


async def test_a_text_beyond_the_limit_is_refused_and_the_session_goes_on(keyed: Any, live: Any, pod: Any) -> None:
    async with live.listening(pod) as ports, keyed(*ports, limits={"audioSecondsPerMinute": 10}) as there:
        async with live.client(there.port, additional_headers=AUTH) as socket:
            await live.send(socket, live.start, text(100), text(101), text(10), END)  # 7.5 s, 7.6 s, 0.75 s
            received, code = await live.read_all(socket)
        line = await usage(there)
        assert there.gateway.speech.bodies.used_bytes == 0
    (error,) = [each for each in received if isinstance(each, dict) and each["type"] == "error"]
    assert (error["error"]["type"], error["error"]["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert 50 < error["retry_after_seconds"] <= 62
    assert (code, b"".join(each for each in received if isinstance(each, bytes))) == (1000, 2 * SECOND)
    assert [len(each["text"]) for each in pod.received if each["type"] == "text.append"] == [100, 10]
    assert (line["characters"], line["audio_seconds"]) == (110, 2.0)


async def test_a_session_is_one_open_request_of_its_tenant(keyed: Any, live: Any, pod: Any) -> None:
    limits = {"concurrentRequests": 1, "requestsPerSecond": 100}
    async with (
        live.listening(pod) as ports,
        keyed(*ports, limits=limits) as there,
        live.client(there.port, additional_headers=AUTH) as socket,
    ):
        assert socket.response.headers["x-ratelimit-limit-requests"] == "100"
        with pytest.raises(InvalidStatus) as refused:
            await live.client(there.port, additional_headers=AUTH)
        await live.send(socket, END)
        await live.read_all(socket)
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "1"


async def test_a_handshake_needs_a_key_also_as_a_subprotocol(keyed: Any, live: Any, wire: Any) -> None:
    async with keyed() as there:
        with pytest.raises(InvalidStatus) as refused:
            await live.client(there.port, query="?model=m")
        assert not there.gateway.fleet.regions[wire.key].traffic.is_wake_requested
        async with live.client(there.port, subprotocols=["realtime", "openai-insecure-api-key.all"]) as socket:
            assert socket.subprotocol == "realtime"
    assert refused.value.response.status_code == 401


async def test_beyond_the_wake_budget_a_sleeping_model_is_refused(keyed: Any, live: Any, wire: Any) -> None:
    async with keyed(limits={"wakesPerHour": 0}) as there:
        with pytest.raises(InvalidStatus) as refused:
            await live.client(there.port, query="?model=m", additional_headers=AUTH)
        async with live.client(there.port, additional_headers=AUTH) as socket:
            await live.send(socket, live.start, text(5))
            received, _ = await live.read_all(socket)
        assert not there.gateway.fleet.regions[wire.key].traffic.is_wake_requested
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "wake_budget_exceeded"
    assert [each["error"]["code"] for each in received] == ["wake_budget_exceeded"]


async def test_a_recording_needs_a_key_that_may_upload(keyed: Any, live: Any, pod: Any) -> None:
    recording = live.start | {"reference_audio": "A" * 100_000}
    async with live.listening(pod) as ports, keyed(*ports) as there:
        async with live.client(there.port, additional_headers=AUTH) as socket:
            await live.send(socket, recording)
            error = json.loads(await socket.recv())
        async with live.client(there.port, additional_headers={"Authorization": "Bearer up"}) as socket:
            await live.send(socket, recording, END)
            received, _ = await live.read_all(socket)
    assert error["error"]["code"] == "body_too_large"
    assert [each["type"] for each in received] == ["session.started", "session.done"]
