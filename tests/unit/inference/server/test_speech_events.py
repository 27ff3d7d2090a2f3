"""Speech as server-sent events over a real socket, parsed by OpenAI's client and by this test."""

from __future__ import annotations

import base64
import json
import struct
import threading
from collections.abc import AsyncIterable
from typing import Any

import httpx
import openai
import pytest
from voxfleet_inference.errors import InternalError
from voxfleet_inference.server.speech_events import SpeechUsage, delta_event, done_event, error_event
from voxfleet_inference.speech.events import SentenceEnded, SpeechAudio

PATCH = 7056
TWO = "A first sentence here. And then a second one."
SPEECH = {"model": "voxcpm-1.5", "input": TWO, "response_format": "pcm", "sample_rate": 44100, "stream_format": "sse"}


def events_of(body: str) -> list[dict[str, Any]]:
    blocks = [block.splitlines() for block in body.split("\n\n") if block and not block.startswith(":")]
    return [json.loads(line.removeprefix("data: ")) for block in blocks for line in block if line.startswith("data: ")]


def audio_of(events: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(each["audio"]) for each in events if each["type"] == "speech.audio.delta")


async def post(server: Any, **changes: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        return await client.post("/v1/audio/speech", json={**SPEECH, **changes})


async def test_events_carry_the_same_audio_then_usage_and_the_times_of_sentences(server: Any) -> None:
    bare, answer = await post(server, stream_format="audio", seed=5), await post(server, seed=5)
    *deltas, done = events_of(answer.text)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["voxfleet-seed"] == "5"
    assert {each["type"] for each in deltas} == {"speech.audio.delta"}
    assert len(deltas) >= 42
    assert audio_of(deltas) == bare.content
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["output_tokens"] == len("A first sentence here.") + len("And then a second one.")
    assert done["usage"]["input_tokens"] == done["usage"]["output_tokens"], "the tone model takes one step per token"
    assert done["usage"]["total_tokens"] == 2 * done["usage"]["output_tokens"]
    first, second = done["sentences"]
    assert (first["index"], first["text"], first["at_seconds"]) == (0, "A first sentence here.", 0)
    assert first["until_seconds"] == pytest.approx(22 * PATCH / 44100, abs=0.001)
    assert (second["index"], second["text"]) == (1, "And then a second one.")
    assert second["until_seconds"] == pytest.approx(len(bare.content) / 2 / 44100, abs=0.001)
    assert not second["is_truncated"]


async def test_the_event_in_which_a_sentence_starts_names_it_before_it_can_be_played(server: Any) -> None:
    *deltas, done = events_of((await post(server, speed=2.0)).text)
    sent_seconds, starts = 0.0, []
    for delta in deltas:
        for start in delta.get("sentence_starts", []):
            assert sent_seconds <= start["at_seconds"] + 0.1, (
                "no later than its audio; a change of speed holds back 0.1 s"
            )
            starts.append(start)
        sent_seconds += len(base64.b64decode(delta["audio"])) / 2 / 44100
    named = [{key: each[key] for key in ("index", "text", "at_seconds")} for each in done["sentences"]]
    assert starts == named
    assert len(starts) == 2


async def test_speed_moves_the_times_of_sentences(server: Any) -> None:
    done = events_of((await post(server, speed=2.0)).text)[-1]
    assert done["sentences"][0]["until_seconds"] == pytest.approx(22 * PATCH / 44100 / 2, abs=0.001)


async def test_openais_client_streams_the_events(server: Any) -> None:
    async with (
        openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
        client.audio.speech.with_streaming_response.create(
            model="voxcpm-1.5", voice="alloy", input=TWO, response_format="mp3", stream_format="sse"
        ) as response,
    ):
        lines = [line async for line in response.iter_lines()]
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [each["type"] for each in events][-1] == "speech.audio.done"
    assert audio_of(events)[0] == 0xFF


async def collect(stream: AsyncIterable[Any], into: list[Any]) -> None:
    async for each in stream:
        into.append(each)  # noqa: PERF401 - what comes before an error counts too


async def test_openais_own_decoder_reads_the_stream_and_raises_its_error(server: Any) -> None:
    body = {**SPEECH, "input": "A good first sentence. Then please refuse."}
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        stream = await client.post(
            "/audio/speech", body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
        )
        heard: list[Any] = []
        with pytest.raises(openai.APIError, match="the engine could not speak this"):
            await collect(stream, heard)
        good = await client.post(
            "/audio/speech", body=SPEECH, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
        )
        events: list[Any] = [event async for event in good]
    assert len(heard) >= len("A good first sentence.")
    assert {event["type"] for event in heard} == {"speech.audio.delta"}
    assert events[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_every_format_can_be_sent_in_events(server: Any, name: str) -> None:
    fixed = {"response_format": name, "sample_rate": None, "input": "Same bytes.", "seed": 1}
    bare, events = await post(server, stream_format="audio", **fixed), events_of((await post(server, **fixed)).text)
    if name == "opus":  # Ogg numbers its streams at random
        assert len(audio_of(events)) == len(bare.content)
    else:
        assert audio_of(events) == bare.content


async def test_a_complete_wav_in_events_has_its_length(server: Any) -> None:
    delta, done = events_of((await post(server, response_format="wav", stream=False)).text)
    wav = base64.b64decode(delta["audio"])
    assert struct.unpack_from("<I", wav, 40)[0] == len(wav) - 44
    assert done["type"] == "speech.audio.done"


async def test_a_rejection_before_the_first_event_is_a_plain_error(server: Any) -> None:
    for changes, status in (({"input": "please refuse"}, 500), ({"voice": "nobody"}, 400), ({"model": "x"}, 404)):
        answer = await post(server, **changes)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


async def test_a_failure_after_the_first_event_is_an_error_event_and_the_end(server: Any, wait_until: Any) -> None:
    answer = await post(server, input="A good first sentence. Then please refuse.")
    assert answer.status_code == 200
    assert "event: error\n" in answer.text
    *deltas, failed = events_of(answer.text)
    assert failed["type"] == "error"
    assert failed["error"]["type"] == "server_error"
    assert {each["type"] for each in deltas} == {"speech.audio.delta"}
    await wait_until(lambda: not server.load.open_requests)
    counted = server.metrics.requests.labels("200", "broken")._value.get()
    assert counted == 1


async def test_keep_alive_comments_begin_the_response_and_then_errors_are_events(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with start_server(model, keep_alive_seconds=0.05) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=60) as client,
            client.stream("POST", "/v1/audio/speech", json={**SPEECH, "input": "fine"}) as answer,
        ):
            received = ""
            chunks = answer.aiter_text()
            while received.count(": keep-alive\n\n") < 3:
                received += await anext(chunks)
            assert "data:" not in received
            assert server.load.first_audio_seconds_p95 is None
            model.gate.set()
            received += "".join([chunk async for chunk in chunks])
    assert [each["type"] for each in events_of(received)] == ["speech.audio.delta"] * 4 + ["speech.audio.done"]


async def test_a_preferred_wait_limits_the_first_audio_despite_comments(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with start_server(model, keep_alive_seconds=0.05) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        async with httpx.AsyncClient(base_url=server.url, timeout=60, headers={"Prefer": "wait=2"}) as client:
            answer = await client.post("/v1/audio/speech", json=SPEECH)
            plain = await client.post("/v1/audio/speech", json={**SPEECH, "stream_format": "audio"})
        model.gate.set()
    assert answer.text.startswith(": keep-alive")
    assert [each["error"]["code"] for each in events_of(answer.text)] == ["wait_exceeded"]
    assert (plain.status_code, plain.json()["error"]["code"]) == (503, "wait_exceeded")


async def test_a_text_that_is_too_long_for_the_engine_gets_400(server: Any) -> None:
    answer = await post(server, input="endless")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
    assert answer.json()["error"]["code"] == "too_long"


async def test_complete_audio_has_the_number_of_truncated_sentences(server: Any) -> None:
    answer = await post(server, stream_format="audio", stream=False)
    assert answer.headers["voxfleet-truncated-sentences"] == "0"
    assert "voxfleet-truncated-sentences" not in (await post(server)).headers


async def test_a_client_that_leaves_a_stream_of_comments_leaves_no_open_request(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model()
    async with start_server(model, keep_alive_seconds=0.05) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=60) as client,
            client.stream("POST", "/v1/audio/speech", json=SPEECH) as answer,
        ):
            await anext(answer.aiter_text())
        await wait_until(lambda: server.load.open_requests == 0)
        assert server.metrics.cancelled_requests._value.get() == 1
        model.gate.set()


def test_usage_counts_tokens_patches_and_the_times_of_sentences() -> None:
    usage = SpeechUsage(speed=2.0)
    ended = {"until_seconds": 3.0, "patches": 1, "text_tokens": 7, "attempts": 1, "trailing_silence_seconds": 0.0}
    usage.take(SpeechAudio(0, [], patches=1))  # type: ignore[arg-type]
    usage.take(SentenceEnded(index=0, text="a", at_seconds=1.0, is_truncated=True, **ended))  # type: ignore[arg-type]
    usage.take(SpeechAudio(0, [], patches=0))  # type: ignore[arg-type]
    assert usage.tokens == {"input_tokens": 7, "output_tokens": 1, "total_tokens": 8}
    assert usage.sentences == [{"index": 0, "text": "a", "at_seconds": 0.5, "until_seconds": 1.5, "is_truncated": True}]


def test_each_event_is_one_block_whatever_a_text_holds() -> None:
    usage = SpeechUsage(sentences=[{"text": "two\nlines\r\n\u2028and 中文"}])
    for event in (delta_event(b"\x00\xff"), done_event(usage), error_event(InternalError("a\n\ndata: b"))):
        assert event.endswith(b"\n\n")
        assert event.count(b"\n\n") == 1
        assert b"\r" not in event
    assert events_of(delta_event(b"\x00\xff").decode()) == [{"type": "speech.audio.delta", "audio": "AP8="}]
    assert events_of(done_event(usage).decode())[0]["sentences"] == usage.sentences
