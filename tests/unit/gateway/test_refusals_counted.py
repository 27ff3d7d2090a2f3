"""Each refusal is one in refusals_total, in every protocol, by a label that no client and no pod can choose."""

import asyncio
import contextlib
import importlib
import inspect
import json
import pkgutil
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway import refusals
from voxfleet_gateway.decisions.accounts.limits import Exceeded, LimitName
from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER, Decision
from voxfleet_gateway.dispatch.dispatcher import Dispatcher
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals.forms import unavailable
from voxfleet_gateway.server.middleware import _refusal_of
from voxfleet_gateway.telemetry import REFUSALS
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATH = "/v1/audio/speech/stream"
START = {"type": "session.start", "model": "m", "response_format": "pcm"}
ARGUMENTS: dict[str, Any] = {
    "str": "Bearer k\r\n{}\N{SNOWMAN}" * 40,
    "str | None": None,
    "int": 7,
    "float": 7.0,
    "Iterable[str]": (),
    "Sequence[str]": (),
    "Exceeded": Exceeded(LimitName.REQUESTS, "none left", 3.0),
    "Decision": Decision("refuse", "eu", "failed", (), message="failed"),
}


def every_refusal() -> dict[str, Refusal]:
    """Return one of each function in refusals/, called with what a client might send."""
    made = {}
    for name in refusals.__all__:
        function = getattr(refusals, name)
        needed = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
        kinds = [each.annotation if isinstance(each.annotation, str) else _written(each.annotation) for each in needed]
        made[name] = function(*(ARGUMENTS[kind] for kind in kinds))
    return made


def _written(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("collections.abc.", "")


ALL = every_refusal()
CODES = {refusal.code for refusal in ALL.values()} | {*REFUSAL_BY_FILTER.values()}


def counted() -> Counter[str]:
    (family,) = REFUSALS.collect()
    rows = [sample for sample in family.samples if sample.name.endswith("_total")]
    found: Counter[str] = Counter()
    for row in rows:  # a reason has a row per region
        found[row.labels["reason"]] += int(row.value)
    return found


class Since:
    """What was refused since this was made."""

    def __init__(self) -> None:
        self.before = counted()

    async def __call__(self, number: int) -> Counter[str]:
        """Wait until as many refusals are counted, which happens at their requests' ends; return all."""
        async with asyncio.timeout(20):
            while (counted() - self.before).total() < number:  # noqa: ASYNC110  # a counter, not an event
                await asyncio.sleep(0.01)
        return counted() - self.before


async def send(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


async def codes_of(socket: ClientConnection) -> list[str]:
    """Return the codes of all errors up to the close frame."""
    found = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            frame = await socket.recv()
            event = json.loads(frame) if isinstance(frame, str) else {}
            found += [event["error"]["code"]] if event.get("type") == "error" else []
    return found


def refusing(refusal: Refusal) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise RequestRefusedError(refusal)

    return refuse


def test_the_table_has_every_refusal_of_every_kind() -> None:
    prefix = f"{refusals.__name__}."
    kinds = [importlib.import_module(each.name) for each in pkgutil.iter_modules(refusals.__path__, prefix)]
    assert len(kinds) > 5
    for kind in kinds:
        for name, function in inspect.getmembers(kind, inspect.isfunction):
            is_part = name.startswith("_") or function is unavailable  # of refusals, and none itself
            is_of_this_kind = function.__module__ == kind.__name__ and not is_part
            assert name in refusals.__all__ or not is_of_this_kind, (kind.__name__, name)


def test_the_table_is_walked() -> None:
    assert len(ALL) > 30
    assert {"no_pod_responded", "session_idle", "limit_exceeded", "refused_by_decision"} <= ALL.keys()
    for code in CODES:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)


@pytest.mark.parametrize("error", [web.HTTPBadRequest, web.HTTPMethodNotAllowed, web.HTTPNotFound])
def test_the_code_of_the_libraries_errors_is_their_statuss(error: Any) -> None:
    given = {"method": "PUT", "allowed_methods": []} if error is web.HTTPMethodNotAllowed else {}
    request: Any = type("Request", (), {"method": "PUT", "path": "/x" * 500})
    code = _refusal_of(error(**given, reason="Any text 4711"), request).code
    assert code in {"bad_request", "method_not_allowed", "not_found"}


async def test_every_kind_is_counted_once_as_a_response_an_event_and_in_a_session(
    wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = b'{"model":"m","input":"hi","stream_format":"sse"}'
    async with wire.gateway() as (port, gateway):
        gateway.speech.keep_alive_seconds = 0.01

        async def refuse_later(*_: Any) -> Any:
            await asyncio.sleep(0.05)  # the head of the stream is sent
            raise RequestRefusedError(refusal)

        for name, refusal in ALL.items():
            since = Since()
            monkeypatch.setattr(Dispatcher, "model", refusing(refusal))
            received, _ = await wire.send(port, wire.post())
            assert int(received.split()[1]) == refusal.status, name
            monkeypatch.undo()
            monkeypatch.setattr(Dispatcher, "find_target", refuse_later)
            received, _ = await wire.send(port, wire.post(events))
            assert b"event: error" in received, name
            async with connect(f"ws://127.0.0.1:{port}{PATH}") as socket:
                await send(socket, START)
                assert await codes_of(socket) == [refusal.code], name
            assert await since(3) == {refusal.code: 3}, name
            monkeypatch.undo()


async def test_a_handshake_is_counted(wire: Any) -> None:
    refused = {
        "model_not_found": ("?model=x", {}),
        "origin_not_allowed": ("", {"Origin": "https://evil.example"}),
    }
    since = Since()
    async with wire.gateway(settings={"max_sessions": 1}) as (port, _):
        for query, headers in refused.values():
            with contextlib.suppress(InvalidStatus):
                async with connect(f"ws://127.0.0.1:{port}{PATH}{query}", additional_headers=headers):
                    pytest.fail("the handshake was accepted")
        for extra in (b"Connection: close\r\n", b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n"):
            await wire.send(port, b"GET %s HTTP/1.1\r\nHost: g\r\n%s\r\n" % (PATH.encode(), extra), wait=1.0)
        async with connect(f"ws://127.0.0.1:{port}{PATH}"):
            with pytest.raises(InvalidStatus):
                await connect(f"ws://127.0.0.1:{port}{PATH}")
    others = ("upgrade_required", "bad_handshake", "sessions_full")
    assert await since(5) == dict.fromkeys((*refused, *others), 1)


async def test_each_refused_message_of_a_session_is_counted(wire: Any) -> None:
    since = Since()
    async with wire.gateway() as (port, _), connect(f"ws://127.0.0.1:{port}{PATH}") as socket:
        await socket.send(b"\x00")
        await socket.send("{")
        await send(socket, {"type": "text.append", "text": "early"}, START | {"model": "x"}, START | {"model": "x"})
        await send(socket, {"type": "session.end"})
        codes = await codes_of(socket)
    assert sorted(codes) == ["binary_message", "invalid_json", "model_not_found", "model_not_found", "not_started"]
    assert await since(5) == Counter(codes)


async def test_the_ends_of_sessions_are_counted(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    since = Since()
    async with wire.gateway(settings={"max_message_bytes": 2000}) as (port, gateway):
        async with connect(f"ws://127.0.0.1:{port}{PATH}") as socket:
            await socket.send("x" * 3000)
            assert await codes_of(socket) == []  # the close code says it
        async with connect(f"ws://127.0.0.1:{port}{PATH}", additional_headers={"Prefer": "wait=1"}) as socket:
            await send(socket, START)
            assert await codes_of(socket) == ["region_waking"]
        monkeypatch.setattr("voxfleet_gateway.server.live.routes.START_SECONDS", 0.1)
        async with connect(f"ws://127.0.0.1:{port}{PATH}") as socket:
            assert await codes_of(socket) == ["session_idle"]
        monkeypatch.undo()
        async with connect(f"ws://127.0.0.1:{port}{PATH}") as socket:
            async with asyncio.timeout(20):
                while not gateway.live.sessions:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            (session,) = gateway.live.sessions
            await session.end(refusals.gateway_draining())
            assert await codes_of(socket) == ["gateway_draining"]
        ends = ("body_too_large", "region_waking", "session_idle", "gateway_draining")
        assert await since(4) == dict.fromkeys(ends, 1)


async def test_a_stream_that_broke_off_is_counted_with_its_error_event(wire: Any) -> None:
    since = Since()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with wire.gateway(wire.pod(head + b"a\r\ndata: {}\n\n\r\n")) as (port, _):
        received, _ = await wire.send(port, wire.post(b'{"model":"m","input":"hi","stream_format":"sse"}'))
    assert b"upstream_broke_off" in received
    assert await since(1) == {"upstream_broke_off": 1}
