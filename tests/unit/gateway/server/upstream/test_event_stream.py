"""Event streams: comments while a request is held, the pod's events after them, and errors as events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.accounts.key_store import KeyStore
from voxfleet_gateway.decisions.pods.retry_policy import RetryBudget
from voxfleet_gateway.decisions.pods.stream_silence import StreamSilence
from voxfleet_gateway.dispatch.hold_queues import HoldQueues
from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey
from voxfleet_gateway.server.health import Health
from voxfleet_gateway.server.middleware import SPEECH_PATH, RequestMiddleware
from voxfleet_gateway.server.requests.request_body import BodyBudget
from voxfleet_gateway.server.speech import Speech
from voxfleet_gateway.server.upstream.event_stream import MAX_PENDING_BYTES, SseFramer
from voxfleet_gateway.server.upstream.proxy import Proxy
from voxfleet_gateway.settings import Settings

PATIENCE_SECONDS = 60
EU = RegionKey("default", "narrator", "eu")
DONE = b'data: {"type": "speech.audio.done"}\n\n'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeTarget:
    """The pod at a URL."""

    key = EU
    is_here = True

    def __init__(self, url: str, model: ModelEntry) -> None:
        self.pod_url, self.model = url, model

    def url(self, path: str) -> str:
        return self.pod_url + path

    def session(self, of_cluster: Any) -> Any:
        return of_cluster

    def identity(self, _caller: Any) -> dict[str, str]:
        return {}

    def sending(self) -> Any:
        return nullcontext()

    def first_byte(self, _hold_left_seconds: float) -> Any:
        return asyncio.timeout(PATIENCE_SECONDS)

    def silence(self) -> Any:
        return StreamSilence(None)

    def record_failure(self, _failure: Any) -> None: ...


class HeldDispatcher:
    """A dispatcher that holds every request until `passing` has a result."""

    def __init__(self, model: ModelEntry) -> None:
        self.served = model
        self.url = ""
        self.passing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.hold_queues = HoldQueues(lambda *_: None)

    async def find_target(self, *_: Any) -> FakeTarget:
        await self.passing
        return FakeTarget(self.url, self.served)

    def model(self, *_: Any) -> ModelEntry:
        return self.served


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class World:
    held: HeldDispatcher
    session: aiohttp.ClientSession
    url: str

    def ask(self, **fields: Any) -> Any:
        body = {"model": "m", "input": "Hello.", "stream_format": "sse"} | fields
        return self.session.post(self.url + SPEECH_PATH, json=body)


@asynccontextmanager
async def world(pod: Handler, keep_alive_seconds: float = 0.05) -> AsyncIterator[World]:
    schema: Any = "voxfleet.dev/registry/v1"
    region = RegionEntry(name="eu", service=ObjectRef(namespace="default", name="eu"))
    model = ModelEntry(schema=schema, namespace="default", name="narrator", model="m", regions=(region,))
    settings = Settings(internal_key="key", region="eu")  # type: ignore[arg-type]
    there, pods = World(), web.Application()
    pods.router.add_post(SPEECH_PATH, pod)
    async with aiohttp.ClientSession() as session, serving(pods) as pod_url:
        there.session, there.held = session, HeldDispatcher(model)
        there.held.url = pod_url
        dispatcher: Any = there.held
        accounts = Accounts(settings, KeyStore("", ""))
        bodies = BodyBudget(2**24)
        speech = Speech(
            settings, dispatcher, Proxy(session), RetryBudget(), bodies, accounts, keep_alive_seconds=keep_alive_seconds
        )
        app = web.Application(middlewares=[RequestMiddleware(settings, Health(missing=list), accounts).middleware])
        app.router.add_post(SPEECH_PATH, speech.post)
        async with serving(app) as there.url, asyncio.timeout(PATIENCE_SECONDS):
            yield there


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Voxfleet-Seed": "5"})
    await response.prepare(request)
    await response.write(b'data: {"type": "speech.audio.delta", "audio": "AAAA"}\n\n')
    await response.write(DONE)
    return response


async def refusing(_request: web.Request) -> web.StreamResponse:
    error = {"message": "no such voice", "type": "invalid_request_error", "param": "voice", "code": "voice_not_found"}
    return web.json_response({"error": error}, status=400)


async def until_comments(answer: aiohttp.ClientResponse, count: int) -> None:
    received = b""
    while received.count(b": keep-alive\n\n") < count:
        received += await answer.content.readany()
    assert received == b": keep-alive\n\n" * received.count(b": keep")


def failed(body: bytes) -> dict[str, Any]:
    """The one error event of a body, whatever comments came before."""
    blocks = [block for block in body.split(b"\n\n") if block and not block.startswith(b":")]
    assert len(blocks) == 1
    name, data = blocks[0].split(b"\n")
    assert name == b"event: error"
    return dict(json.loads(data.removeprefix(b"data: ")))


async def test_events_of_a_request_that_is_not_held_pass_unchanged() -> None:
    async with world(events, keep_alive_seconds=PATIENCE_SECONDS) as there:  # no comment, however slow the machine is
        there.held.passing.set_result(None)
        async with there.ask() as answer:
            assert (answer.status, answer.headers["Voxfleet-Seed"]) == (200, "5")
            assert (await answer.read()).endswith(DONE)


async def test_comments_keep_a_held_stream_alive_until_the_pod_responds() -> None:
    async with world(events) as there, there.ask() as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        await until_comments(answer, 3)
        there.held.passing.set_result(None)
        rest = await answer.read()
    assert rest.replace(b": keep-alive\n\n", b"").startswith(b'data: {"type": "speech.audio.delta"')
    assert rest.endswith(DONE)


async def test_a_refusal_while_held_is_an_error_event() -> None:
    async with world(events) as there, there.ask() as answer:
        await until_comments(answer, 1)
        there.held.passing.set_exception(RequestRefusedError(Refusal(503, "region_waking", "still waking")))
        error = failed(await answer.read())
    assert error["type"] == "error"
    assert (error["error"]["code"], error["error"]["message"]) == ("region_waking", "still waking")


@pytest.mark.parametrize("status", [400, 503])
async def test_a_pods_error_after_comments_is_an_error_event(status: int) -> None:
    async def pod(request: web.Request) -> web.StreamResponse:
        answer = await refusing(request)
        answer.set_status(status)
        return answer

    async with world(pod) as there, there.ask() as answer:
        await until_comments(answer, 1)
        there.held.passing.set_result(None)
        assert failed(await answer.read())["error"]["param"] == "voice"


async def test_refusals_before_any_comment_are_plain_responses() -> None:
    async with world(refusing, keep_alive_seconds=PATIENCE_SECONDS) as there:
        there.held.passing.set_result(None)
        async with there.ask() as answer:
            assert (answer.status, (await answer.json())["error"]["param"]) == (400, "voice")
        async with there.ask(stream_format="video") as answer:
            assert answer.status == 400


async def test_bare_audio_gets_no_comments() -> None:
    async with world(events) as there:
        asking = asyncio.ensure_future(there.ask(stream_format="audio").__aenter__())
        async with there.ask() as other:
            await until_comments(other, 3)
        assert not asking.done()
        there.held.passing.set_result(None)
        async with await asking as answer:
            assert (await answer.read()).startswith(b"data:")


async def test_a_client_that_leaves_while_held_cancels_its_request() -> None:
    async with world(events) as there:
        async with there.ask() as answer:
            await until_comments(answer, 1)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.shield(there.held.passing)


DELTA = b'data: {"type": "speech.audio.delta", "audio": "AAAA"}\n\n'


def breaking_off(*pieces: bytes, content_type: str = "text/event-stream") -> Handler:
    """A pod that sends these and closes its connection."""

    async def pod(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.05)  # what is sent together arrives together
        assert request.transport is not None
        request.transport.close()
        return response

    return pod


async def read_until_broken(answer: aiohttp.ClientResponse) -> bytes:
    received = b""
    while True:
        try:
            piece = await answer.content.readany()
        except aiohttp.ClientPayloadError:
            return received
        assert piece, "it ended as if it were complete"
        received += piece


@pytest.mark.parametrize("pieces", [(DELTA,), (DELTA + DELTA[:20],), (DELTA, DELTA[:20], DELTA[20:40])])
async def test_a_pod_that_breaks_off_is_an_error_event_and_a_broken_connection(pieces: tuple[bytes, ...]) -> None:
    async with world(breaking_off(*pieces), keep_alive_seconds=PATIENCE_SECONDS) as there:
        there.held.passing.set_result(None)
        async with there.ask() as answer:
            received = await read_until_broken(answer)
    assert received.startswith(DELTA)
    error = failed(received.removeprefix(DELTA))["error"]
    assert (error["code"], error["type"]) == ("upstream_broke_off", "server_error")
    assert "region eu" in error["message"]


async def test_a_pod_that_breaks_off_after_comments_is_an_error_event_too() -> None:
    async with world(breaking_off(DELTA[:20])) as there, there.ask() as answer:
        await until_comments(answer, 1)
        there.held.passing.set_result(None)
        assert failed(await read_until_broken(answer))["error"]["code"] == "upstream_broke_off"


async def test_openais_client_raises_what_the_event_says() -> None:
    async with world(breaking_off(DELTA, DELTA[:20])) as there:
        there.held.passing.set_result(None)
        received: list[Any] = []
        async with openai.AsyncOpenAI(base_url=f"{there.url}/v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.APIError, match="broke off before everything was spoken"):
                await read_events(client, received)
        assert len(received) == 1


async def read_events(client: openai.AsyncOpenAI, received: list[Any]) -> None:
    body = {"model": "m", "input": "Hello.", "voice": "default", "stream_format": "sse"}
    stream: Any = await client.post(
        "/audio/speech", body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[Any]
    )
    async for event in stream:
        received += [event]


async def test_bare_audio_that_breaks_off_has_no_event_in_it() -> None:
    async with world(breaking_off(b"RIFF", content_type="audio/wav")) as there:
        there.held.passing.set_result(None)
        async with there.ask(stream_format="audio") as answer:
            assert await read_until_broken(answer) == b"RIFF"


async def test_no_error_event_is_written_within_an_event_too_large_to_be_kept() -> None:
    begun = b"data: " + b"A" * (MAX_PENDING_BYTES + 1)
    async with world(breaking_off(begun)) as there:
        there.held.passing.set_result(None)
        async with there.ask() as answer:
            received = await read_until_broken(answer)
    assert received == begun


@given(st.lists(st.sampled_from([b"data: x", b"\n", b"\n\n", b": c", b""]), max_size=30))
def test_events_pass_whole_in_order_and_at_once(chunks: list[bytes]) -> None:
    framer, came, passed = SseFramer(), b"", b""
    for chunk in chunks:
        came += chunk
        passed += framer.feed(chunk)
        assert passed + framer.pending == came
        assert not passed or passed.endswith(b"\n\n")
        assert b"\n\n" not in framer.pending
        assert not framer.is_mid_event


@given(st.lists(st.integers(1, 700_000), min_size=1, max_size=6))
def test_an_event_that_is_too_large_passes_in_parts_until_its_end(sizes: list[int]) -> None:
    framer, passed = SseFramer(), 0
    for size in sizes:
        passed += len(framer.feed(b"A" * size))
        assert len(framer.pending) <= MAX_PENDING_BYTES
        assert framer.is_mid_event == (passed > 0)
    assert passed + len(framer.pending) == sum(sizes)
    framer.feed(b"\n\n")
    assert (framer.pending, framer.is_mid_event) == (b"", False)
