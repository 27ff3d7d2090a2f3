"""Sessions through the gateway: messages in both directions, and every way in which one ends."""

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

TEXTS = [{"type": "text.append", "text": text} for text in ("one", "two")]
END = {"type": "session.end"}


def kinds(received: list[Any]) -> list[Any]:
    return [each if isinstance(each, bytes) else each["type"] for each in received]


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", ["m", "d/n"])
async def test_messages_and_audio_are_passed_in_order(wire: Any, live: Any, name: str) -> None:
    pod = live.pod(live.speak)
    async with live.listening(pod) as ports, wire.gateway(*ports) as (port, gateway):
        async with live.client(port) as socket:
            await live.send(socket, live.start | {"model": name}, *TEXTS, {"type": "cancel"}, END)
            received, code = await live.read_all(socket)
        assert socket.response.headers["Voxfleet-Region"] == "eu"
        await until(lambda: not gateway.live.sessions)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert (state.open_requests, gateway.speech.bodies.used_bytes) == (0, 0)
    assert kinds(received) == ["session.started", b"one", b"two", "cancelled", "session.done"]
    assert code == 1000
    assert pod.received[0] == live.start
    assert pod.close_codes == [1000]


@pytest.mark.parametrize(("query", "model"), [("?model=tts-1", {}), ("", {"model": "tts-1"})])
async def test_a_session_s_voice_is_looked_up_in_its_models_table(
    wire: Any, live: Any, query: str, model: dict[str, str]
) -> None:
    pod, named = live.pod(live.speak), {"aliases": ("tts-1",), "voices": {"alloy": "random"}}
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, named=named) as (port, _),
        live.client(port, query=query) as socket,
    ):
        await live.send(socket, {"type": "session.start", "voice": {"id": "alloy"}} | model, END)
        _, code = await live.read_all(socket)
    assert code == 1000
    assert (pod.received[0]["model"], pod.received[0]["voice"]) == ("m", "random")


async def test_the_query_names_the_model_and_wakes_it(wire: Any, live: Any) -> None:
    async with wire.gateway() as (port, gateway), live.client(port, query="?model=m") as socket:
        assert gateway.fleet.regions[wire.key].traffic.is_wake_requested
        await live.send(socket, END)
        received, code = await live.read_all(socket)
    assert (kinds(received), code) == (["session.done"], 1000)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?model=x", {}, 404),
        ("", {"Origin": "https://evil.example"}, 403),
        ("", {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_handshake_is_refused_like_a_request(
    wire: Any, live: Any, query: str, headers: dict[str, str], status: int
) -> None:
    async with wire.gateway() as (port, _):
        with pytest.raises(InvalidStatus) as refused:
            await live.client(port, query=query, additional_headers=headers)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"")["error"]["message"]


async def test_without_an_upgrade_the_path_is_426(wire: Any, live: Any) -> None:
    async with wire.gateway() as (port, _):
        answer, _ = await wire.send(port, f"GET {live.path} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 426")
    assert b"Upgrade: websocket" in answer


async def test_a_browsers_key_is_not_repeated(wire: Any, live: Any) -> None:
    async with (
        wire.gateway() as (port, _),
        live.client(port, subprotocols=["openai-insecure-api-key.k", "realtime"]) as socket,
    ):
        assert socket.subprotocol == "realtime"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (TEXTS[0], "not_started"),
        ({"type": "session.start"}, "missing"),
        ({"type": "session.start", "model": "x"}, "model_not_found"),
        ({"type": "session.start", "model": "m", "speed": 9}, "invalid"),
        ("{", "invalid_json"),
        (b"\0", "binary_message"),
    ],
)
async def test_a_wrong_first_message_is_an_error_and_may_be_sent_again(
    wire: Any, live: Any, message: Any, code: str
) -> None:
    async with (
        live.listening(live.pod(live.speak)) as ports,
        wire.gateway(*ports) as (port, _),
        live.client(port) as socket,
    ):
        await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        error = json.loads(await socket.recv())
        await live.send(socket, live.start, *TEXTS, END)
        received, _ = await live.read_all(socket)
    assert (error["type"], error["error"]["code"]) == ("error", code)
    assert kinds(received) == ["session.started", b"one", b"two", "session.done"]


async def test_each_session_start_may_name_the_callers_voices_only(wire: Any, live: Any, tmp_path: Any) -> None:
    pod, unknown = live.pod(live.speak), live.start | {"voice": {"id": f"voice_{'0' * 32}"}}
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, settings={"voices_dir": str(tmp_path)}) as (port, _),
        live.client(port) as socket,
    ):
        await live.send(socket, unknown, live.start, unknown, *TEXTS, END)
        received, _ = await live.read_all(socket)
    errors = [each["error"]["code"] for each in received if isinstance(each, dict) and each["type"] == "error"]
    assert errors == ["voice_not_found"] * 2
    assert pod.received == [live.start, *TEXTS, END]
    assert pod.headers[0]["Voxfleet-Voice-Token"]


@pytest.mark.parametrize("stage", ["before the handshake", "after session.started", "during the text"])
async def test_another_pod_takes_over_until_the_first_audio(wire: Any, live: Any, stage: str) -> None:
    broken = []

    async def once(pod: Any, socket: Any) -> None:
        if broken:
            await live.speak(pod, socket)
            return
        broken.append(pod)
        if stage != "before the handshake":
            await pod.next(socket)
            await live.event(socket, "session.started", seed=99, session_id="first")
        if stage == "during the text":
            await pod.next(socket)
        socket.transport.abort()

    pods = [live.pod(once), live.pod(once)]
    async with live.listening(*pods) as ports, wire.gateway(*ports) as (port, gateway):
        async with live.client(port) as socket:
            await live.send(socket, live.start, *TEXTS, END)
            received, code = await live.read_all(socket)
        assert [pod.ejection.failures for pod in gateway.fleet.regions[wire.key].pods.values()].count(1) == 1
    assert kinds(received) == ["session.started", b"one", b"two", "session.done"]
    assert code == 1000
    second = next(pod for pod in pods if pod is not broken[0])
    expected = {} if stage == "before the handshake" else {"seed": 99}
    assert second.received == [live.start | expected, *TEXTS, END]


async def test_after_the_first_audio_a_lost_pod_is_an_error_and_1011(wire: Any, live: Any) -> None:
    async def break_off(pod: Any, socket: Any) -> None:
        await pod.next(socket)
        await live.event(socket, "session.started", seed=1)
        await socket.send(b"audio")
        socket.transport.abort()

    pod = live.pod(break_off)
    async with live.listening(pod) as ports, wire.gateway(*ports) as (port, gateway):
        async with live.client(port) as socket:
            await live.send(socket, live.start, *TEXTS)
            received, code = await live.read_all(socket)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert state.open_requests == 0
    assert kinds(received) == ["session.started", b"audio", "error"]
    assert received[-1]["error"]["code"] == "upstream_broke_off"
    assert (code, len(pod.received)) == (1011, 1)


@pytest.mark.parametrize("code", [1001, 1008])
async def test_the_pods_close_code_is_passed_on(wire: Any, live: Any, code: int) -> None:
    async def close(pod: Any, socket: Any) -> None:
        await pod.next(socket)
        await live.event(socket, "session.started", seed=1)
        await socket.close(code)

    async with live.listening(live.pod(close)) as ports, wire.gateway(*ports) as (port, _), live.client(port) as socket:
        await live.send(socket, live.start)
        _, received_code = await live.read_all(socket)
    assert received_code == code


async def test_the_clients_close_code_reaches_the_pod(wire: Any, live: Any) -> None:
    pod = live.pod(live.speak)
    async with live.listening(pod) as ports, wire.gateway(*ports) as (port, gateway):
        async with live.client(port) as socket:
            await live.send(socket, live.start)
            await socket.recv()
            await socket.close(4001)
        await until(lambda: pod.close_codes and not gateway.live.sessions)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert state.open_requests == 0
    assert pod.close_codes == [4001]


async def test_a_client_that_vanishes_frees_the_pod(wire: Any, live: Any) -> None:
    pod = live.pod(live.speak)
    async with live.listening(pod) as ports, wire.gateway(*ports) as (port, gateway):
        socket = await live.client(port)
        await live.send(socket, live.start)
        await socket.recv()
        socket.transport.abort()
        await until(lambda: not pod.open and not gateway.live.sessions)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert (state.open_requests, gateway.fleet.regions[wire.key].traffic.open_requests) == (0, 0)


async def test_a_full_pod_is_waited_for_and_its_own_words_are_the_last(wire: Any, live: Any) -> None:
    error = {"message": "full", "type": "server_error", "param": None, "code": "queue_full"}

    async def full(pod: Any, socket: Any) -> None:
        await pod.next(socket)
        await live.event(socket, "error", error=error, retry_after_seconds=3)
        await socket.close(1013)

    pod = live.pod(full)
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, keep_reporting=True) as (port, gateway),
        live.client(port, additional_headers={"Prefer": "wait=2"}) as socket,
    ):
        await live.send(socket, live.start)
        received, code = await live.read_all(socket)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert state.ejection.failures == 0
    assert received == [{"type": "error", "error": error, "retry_after_seconds": 3}]
    assert code == 1013
    assert len(pod.received) > 1


async def test_a_session_is_held_while_its_region_wakes_and_its_texts_wait(wire: Any, live: Any) -> None:
    pod = live.pod(live.speak)
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, report={"state": "loading"}, keep_reporting=True) as (port, gateway),
    ):
        gateway.live.ping_seconds = 0.2
        async with live.client(port) as socket:
            await live.send(socket, live.start, *TEXTS, END)
            await until(lambda: gateway.fleet.held(wire.key) == 1)
            await asyncio.sleep(1)  # five pings: only a client that answers them keeps its place
            assert gateway.fleet.held(wire.key) == 1
            wire.report(gateway, state="ready", free_rows=4)
            received, code = await live.read_all(socket)
    assert kinds(received) == ["session.started", b"one", b"two", "session.done"]
    assert code == 1000


async def test_a_client_that_leaves_while_it_is_held_gives_its_place_up(wire: Any, live: Any) -> None:
    async with wire.gateway() as (port, gateway):
        socket = await live.client(port)
        await live.send(socket, live.start)
        await until(lambda: gateway.fleet.held(wire.key) == 1)
        await socket.close()
        await until(lambda: gateway.fleet.held(wire.key) == 0)


async def test_no_pod_in_time_is_an_error_with_retry_after_and_1013(wire: Any, live: Any) -> None:
    async with (
        wire.gateway() as (port, _),
        live.client(port, additional_headers={"Prefer": "wait=1"}) as socket,
    ):
        await live.send(socket, live.start)
        received, code = await live.read_all(socket)
    assert (received[0]["error"]["code"], code) == ("region_waking", 1013)
    assert received[0]["retry_after_seconds"] > 0


async def test_more_than_the_backlog_is_refused_and_the_rest_kept(wire: Any, live: Any) -> None:
    pod = live.pod(live.speak)
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports, report={"state": "loading"}, keep_reporting=True) as (port, gateway),
        live.client(port) as socket,
    ):
        await live.send(socket, live.start)
        await until(lambda: gateway.hold_queues.queues)  # session.start waits no longer
        await live.send(socket, *[{"type": "text.append", "text": f"{n}"} for n in range(257)])
        error = json.loads(await socket.recv())
        wire.report(gateway, state="ready", free_rows=4)
        received = [await socket.recv() for _ in range(257)]
        await live.send(socket, END)
        await live.read_all(socket)
    assert error["error"]["code"] == "too_long"
    assert received[1:] == [b"%d" % n for n in range(256)]


async def test_a_message_beyond_the_bound_closes_the_session(wire: Any, live: Any) -> None:
    async with wire.gateway(settings={"max_message_bytes": 2000}) as (port, gateway), live.client(port) as socket:
        await socket.send("x" * 3000)
        _, code = await live.read_all(socket)
        await until(lambda: not gateway.live.sessions)
    assert code == 1009


async def test_beyond_the_bound_of_sessions_a_handshake_is_refused(wire: Any, live: Any) -> None:
    async with wire.gateway(settings={"max_sessions": 1}) as (port, _), live.client(port):
        with pytest.raises(InvalidStatus) as refused:
            await live.client(port)
    assert refused.value.response.status_code == 503
    assert "Retry-After" in refused.value.response.headers


async def test_a_session_that_is_not_started_is_closed(wire: Any, live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.server.live.routes.START_SECONDS", 0.2)
    async with wire.gateway() as (port, _), live.client(port) as socket:
        received, code = await live.read_all(socket)
    assert (received[0]["error"]["code"], code) == ("session_idle", 1008)


async def test_the_end_of_the_process_ends_sessions_with_1012(wire: Any, live: Any) -> None:
    async with live.listening(live.pod(live.speak)) as ports:
        async with wire.gateway(*ports) as (port, _):
            socket = await live.client(port)
            await live.send(socket, live.start)
            await socket.recv()
            reading = asyncio.create_task(live.read_all(socket))
        received, code = await reading
    assert (kinds(received), code) == (["error"], 1012)


async def test_a_slow_client_is_disconnected_and_the_pod_is_slowed_down(
    wire: Any, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxfleet_gateway.server.live.routes.WRITE_SECONDS", 1.0)
    sent = 0
    waiting: list[int] = []

    async def flood(pod: Any, socket: Any) -> None:
        nonlocal sent
        await pod.next(socket)
        await live.event(socket, "session.started", seed=1)
        while sent < 200 * 2**20:
            await socket.send(bytes(2**16))
            sent += 2**16

    pod = live.pod(flood)
    async with live.listening(pod) as ports, wire.gateway(*ports) as (port, gateway):
        socket = await live.client(port, max_queue=1, ping_interval=None)
        await live.send(socket, live.start)
        await until(lambda: gateway.live.sessions)
        (session,) = gateway.live.sessions
        transport = session.request.transport
        await until(lambda: waiting.append(transport.get_write_buffer_size()) or not gateway.live.sessions)
        await until(lambda: not pod.open)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert state.open_requests == 0
        socket.transport.abort()
    assert sent < 60 * 2**20  # the kernel's buffers of four sockets
    assert 0 < max(waiting) < 512 * 1024


async def test_a_pod_that_answers_nothing_is_given_up(wire: Any, live: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.dispatch.target.first_byte_limit_seconds", lambda *_: 0.5)

    async def silent(pod: Any, socket: Any) -> None:
        await pod.next(socket)
        await socket.wait_closed()

    pod = live.pod(silent)
    async with (
        live.listening(pod) as ports,
        wire.gateway(*ports) as (port, gateway),
        live.client(port, additional_headers={"Prefer": "wait=1"}) as socket,
    ):
        await live.send(socket, live.start)
        received, code = await live.read_all(socket)
        (state,) = gateway.fleet.regions[wire.key].pods.values()
        assert state.ejection.failures > 0
    assert (kinds(received), code) == (["error"], 1013)


async def test_a_client_is_closed_once(wire: Any, live: Any) -> None:
    async with (
        live.listening(live.pod(live.speak)) as ports,
        wire.gateway(*ports) as (port, _),
        live.client(port) as socket,
    ):
        await live.send(socket, live.start, END)
        await live.read_all(socket)
        with pytest.raises(ConnectionClosed):
            await socket.send("late")
