from __future__ import annotations

import asyncio
import base64
import io
import struct
import threading
from dataclasses import replace
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.engine.messages import VoicePrompt
from voxfleet_inference.voices.prompt_builders import BUILT_IN_VOICE_TEXT

PATCH = 7056
LINE = "A sentence of some length."
SPEECH = {"model": "voxcpm-1.5", "input": LINE, "voice": "default", "response_format": "pcm", "sample_rate": 44100}


def client_of(server: Any) -> openai.AsyncOpenAI:
    """Return a client to be closed: one that is not closes itself in the event loop of whichever test runs later."""
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


async def post(server: Any, **changes: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        return await client.post("/v1/audio/speech", json={**SPEECH, **changes})


def without_pauses(pcm: bytes, lengths: list[int]) -> Any:
    """Cut the audio into sentences of so many patches, and drop the pauses between them."""
    rest, spoken = np.frombuffer(pcm, "<i2") / 32767, []
    for patches in lengths:
        spoken.append(rest[: patches * PATCH])
        rest = rest[patches * PATCH :]
        if len(rest):
            silent = int(np.argmax(np.abs(rest) > 1e-3)) - 1  # a tone's first sample is 0
            assert 0.1 < silent / 44100 < 0.6
            rest = rest[silent:]
    assert len(rest) == 0
    return np.concatenate(spoken)


def tone(patches: int) -> Any:
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(patches * PATCH) / 44100)


async def test_the_openai_client_gets_the_whole_sentence_as_pcm(server: Any) -> None:
    async with client_of(server) as client:
        speech = await client.audio.speech.create(
            model="voxcpm-1.5", voice="default", input=LINE, response_format="pcm", extra_body={"sample_rate": 44100}
        )
    samples = np.frombuffer(speech.content, "<i2") / 32767
    assert len(samples) == len(LINE) * PATCH
    assert np.allclose(samples, tone(len(LINE)), atol=1e-3)


async def test_pcm_is_24_khz_by_default(server: Any) -> None:
    response = await post(server, sample_rate=None)
    assert abs(len(response.content) // 2 - len(LINE) * PATCH * 24000 // 44100) <= 2
    assert response.headers["voxfleet-sample-rate"] == "24000"
    assert response.headers["content-type"] == "audio/pcm"


@pytest.mark.parametrize("name", ["mp3", "wav", "flac", "aac", "opus"])
async def test_every_format_decodes_to_the_tone(server: Any, name: str) -> None:
    response = await post(server, response_format=name, sample_rate=None)
    assert response.headers["content-type"] == FORMATS[name].media_type
    with av.open(io.BytesIO(response.content)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=44100)
        frames = [each for frame in container.decode(audio=0) for each in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert abs(len(samples) - len(LINE) * PATCH) < 4200
    middle = samples[20000:60000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(int(spectrum.argmax()) * 44100 / len(middle) - 440) < 2


async def test_a_streamed_wav_has_no_length_and_a_complete_one_has(server: Any) -> None:
    streamed, whole = await post(server, response_format="wav"), await post(server, response_format="wav", stream=False)
    assert "content-length" not in streamed.headers
    assert struct.unpack_from("<I", streamed.content, 40)[0] == 0xFFFFFFFF
    assert int(whole.headers["content-length"]) == len(whole.content) == len(LINE) * PATCH * 2 + 44
    assert struct.unpack_from("<I", whole.content, 40)[0] == len(LINE) * PATCH * 2
    assert streamed.content[44:] == whole.content[44:]


@pytest.mark.parametrize("response_format", ["pcm", "mp3"])
async def test_speed_changes_the_length(server: Any, response_format: str) -> None:
    normal = await post(server, response_format=response_format, speed=1.0)
    fast = await post(server, response_format=response_format, speed=2.0)
    assert len(fast.content) / len(normal.content) == pytest.approx(0.5, abs=0.03)


async def test_the_first_patch_arrives_before_the_second_is_made(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    async with start_server(model := make_model()) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 20)
        model.step_seconds = 0.2
        warm_steps = model.steps_taken
        async with (
            client_of(server) as client,
            client.audio.speech.with_streaming_response.create(
                model="voxcpm-1.5", voice="default", input="abcdefgh", response_format="mp3"
            ) as response,
        ):
            chunks = response.iter_bytes()
            assert len(await anext(chunks)) > 100
            assert model.steps_taken - warm_steps <= 3


@pytest.mark.parametrize(
    ("changes", "status", "param", "words"),
    [
        ({"model": "tts-1"}, 404, "model", "the model 'tts-1' does not exist; this server has 'voxcpm-1.5'"),
        ({"input": ""}, 400, "input", "1 to 4096 characters"),
        ({"input": "x" * 4097}, 400, "input", "given 4097"),
        (
            {"voice": "nobody"},
            400,
            "voice",
            "default, random, an alias, or the id or name of a stored voice; this server",
        ),
        ({"response_format": "midi"}, 400, "response_format", "given 'midi'"),
        ({"speed": 5.0}, 400, "speed", "a number from 0.25 to 4; given 5.0"),
        ({"reference_audio": "!!!", "reference_text": "a"}, 400, "reference_audio", "base64"),
        ({"reference_audio": "aGk=", "reference_text": "a"}, 400, "reference_audio", "no audio file"),
    ],
)
async def test_wrong_requests_get_openai_errors(
    server: Any, changes: dict[str, Any], status: int, param: str, words: str
) -> None:
    arguments = {"model": "voxcpm-1.5", "voice": "default", "input": "hi", **split_extra(changes)}
    async with client_of(server) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.speech.create(**arguments)
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param
    assert words in caught.value.body["message"]


def split_extra(changes: dict[str, Any]) -> dict[str, Any]:
    extra = {name: changes[name] for name in changes if name.startswith("reference_")}
    plain = {name: value for name, value in changes.items() if name not in extra}
    return {**plain, "extra_body": extra} if extra else plain


async def test_a_body_over_the_limit_is_rejected(start_server: Any, tone_model: Any, wait_until: Any) -> None:
    async with start_server(tone_model, max_body_bytes=2000) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        response = await post(server, input="x" * 3000)
    assert response.status_code == 413
    assert "2000 bytes" in response.json()["error"]["message"]


async def test_unknown_paths_and_methods_get_openai_errors_too(server: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        missing, wrong = await client.get("/v1/nothing"), await client.get("/v1/audio/speech")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    assert missing.json()["error"]["message"] == "there is no GET /v1/nothing; GET /v1/ names the paths of speech"
    assert wrong.json()["error"]["message"] == "there is no GET /v1/audio/speech; the path has POST"


async def test_the_404_of_a_wrong_base_url_names_the_path_that_was_meant(server: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/audio/speech")
    assert answer.status_code == 404
    assert "the path is /v1/audio/speech: check the client's base URL" in answer.json()["error"]["message"]


async def test_a_method_that_a_path_lacks_is_answered_with_those_it_has(server: Any) -> None:
    allowed = {
        "/v1/audio/speech": "POST",
        "/v1/audio/voices/": "GET, HEAD, POST",
        "/v1/audio/voices/x": "DELETE, GET, HEAD",
        "/v1/speak": "GET, HEAD, POST",
        "/v1/models/m": "GET, HEAD",
    }
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path, methods in allowed.items():
            answer = await client.put(path)
            assert (answer.status_code, answer.headers["allow"]) == (405, methods), path


async def test_a_seed_is_used_returned_and_drawn_when_absent(server: Any) -> None:
    given, drawn = await post(server, seed=77), await post(server)
    assert given.headers["voxfleet-seed"] == "77"
    again = await post(server, seed=int(drawn.headers["voxfleet-seed"]))
    assert again.headers["voxfleet-seed"] == drawn.headers["voxfleet-seed"] != "77"


async def test_request_ids_are_kept_or_made(server: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        kept = await client.get("/v1/models", headers={"X-Request-Id": "mine-1"})
        replaced = await client.get("/v1/models", headers={"X-Request-Id": "no good\x01"[:7] + " !"})
    assert kept.headers["x-request-id"] == "mine-1"
    assert len(replaced.headers["x-request-id"]) == 32


async def test_the_default_voice_is_the_warm_up_sentence(server: Any) -> None:
    await post(server)
    assert server.model.prefilled[0] == BUILT_IN_VOICE_TEXT
    voice = server.model.prompts[-1]
    assert isinstance(voice, VoicePrompt)
    assert voice.text == BUILT_IN_VOICE_TEXT
    assert voice.latents.shape[1:] == (4, 64)


async def test_without_a_voice_the_first_sentence_is_the_voice_of_the_others(server: Any) -> None:
    before = len(server.model.prefilled)
    text = "The very first sentence. The second sentence. And a third one."
    response = await post(server, input=text, voice="random")
    spoken, voices = server.model.prefilled[before:], server.model.prompts[before:]
    assert spoken == ["The very first sentence.", "The second sentence.", "And a third one."]
    assert voices[0] is None
    assert all(voice.text == spoken[0] and len(voice.latents) == len(spoken[0]) for voice in voices[1:])
    assert len(without_pauses(response.content, [len(sentence) for sentence in spoken]))


@pytest.mark.parametrize("parallel", [1, 3])
async def test_parallel_sentences_arrive_in_order(
    start_server: Any, tone_model: Any, wait_until: Any, parallel: int
) -> None:
    async with start_server(tone_model, max_parallel_sentences=parallel) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        response = await post(server, input="A first sentence. Second sentence!! Third, the last one.")
    lengths = [17, 17, 20]
    expected = np.concatenate([tone(length) for length in lengths])
    assert np.allclose(without_pauses(response.content, lengths), expected, atol=1e-3)


@pytest.mark.parametrize("voice", ["default", "random", "nova"])
async def test_a_single_speaker_checkpoint_reads_built_in_voices_without_a_prompt(
    start_server: Any, tone_model: Any, wait_until: Any, voice: str
) -> None:
    tone_model.single_speaker = True
    async with start_server(tone_model) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        await post(server, input="One sentence. And then another one.", voice=voice)
        recording = make_encoder(FORMATS["wav"], 44100, 44100)
        file = recording.encode(tone(10).astype(np.float32)) + recording.finish()
        await post(server, reference_audio=base64.b64encode(file).decode(), reference_text="so I said")
    warm_up, *built_in, recorded = server.model.prompts
    assert (warm_up, built_in) == (None, [None, None])
    assert recorded.text == "so I said"


async def test_a_recording_becomes_the_voice(server: Any) -> None:
    encoder = make_encoder(FORMATS["wav"], 44100, 44100)
    recording = encoder.encode(tone(10).astype(np.float32)) + encoder.finish()
    await post(server, reference_audio=base64.b64encode(recording).decode(), reference_text="so I said")
    voice = server.model.prompts[-1]
    assert isinstance(voice, VoicePrompt)
    assert voice.text == "so I said"


async def test_a_client_that_leaves_stops_generation_within_one_step(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.1
    async with (
        httpx.AsyncClient(base_url=server.url) as client,
        client.stream("POST", "/v1/audio/speech", json={**SPEECH, "input": "x" * 200}) as response,
    ):
        await anext(response.aiter_raw())
    begun_at_leaving = server.model.steps_taken
    await wait_until(lambda: server.load.open_requests == 0)
    before = server.model.steps_taken
    assert (await post(server, input="another")).status_code == 200
    assert server.model.steps_taken - before <= len("another") + 10, "one step was in flight"
    assert before - begun_at_leaving <= 10, "a slow machine may notice the disconnect late"
    assert server.metrics.cancelled_requests._value.get() == 1


async def test_a_client_that_leaves_while_waiting_is_never_decoded(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    model = make_model(step_seconds=0.005)
    async with start_server(model, max_batch_size=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        first = asyncio.create_task(post(server, input="x" * 40))
        await wait_until(lambda: model.prefilled[-1].startswith("x"))
        waiting = asyncio.create_task(post(server, input="never spoken"))
        await wait_until(lambda: server.load.open_requests == 2)
        waiting.cancel()
        await wait_until(lambda: server.load.open_requests == 1)
        model.gate.set()
        assert (await first).status_code == 200
        await wait_until(lambda: server.load.open_requests == 0)
        assert "never spoken" not in model.prefilled


async def test_a_full_server_sends_retry_after(start_server: Any, make_model: Any, wait_until: Any) -> None:
    model = make_model()
    async with start_server(model, max_batch_size=1, max_queued_requests=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        model.gate = threading.Event()
        open_ones = [asyncio.create_task(post(server, input="x" * 20)) for _ in range(2)]
        await wait_until(lambda: server.load.open_requests == 2)
        refused = await post(server)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "queue_full"
        assert int(refused.headers["retry-after"]) >= 1
        model.gate.set()
        assert [answer.status_code for answer in await asyncio.gather(*open_ones)] == [200, 200]


async def test_an_engine_error_before_the_first_byte_is_a_500(server: Any) -> None:
    response = await post(server, input="please refuse this")
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert (await post(server)).status_code == 200


@pytest.mark.parametrize("response_format", ["pcm", "mp3", "wav"])
async def test_a_failure_after_the_first_byte_breaks_the_connection(server: Any, response_format: str) -> None:
    body = {**SPEECH, "response_format": response_format, "input": "A good first sentence. Then please refuse."}
    with pytest.raises(httpx.RemoteProtocolError):
        async with httpx.AsyncClient(base_url=server.url) as client:
            await client.post("/v1/audio/speech", json=body)


async def test_a_dead_engine_ends_every_open_request(start_server: Any, make_model: Any, wait_until: Any) -> None:
    model = make_model(step_seconds=0.02)
    async with start_server(model, max_batch_size=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        streaming = asyncio.create_task(post(server, input="x" * 400))
        await wait_until(lambda: server.load.first_audio_seconds_p95 is not None)
        waiting = asyncio.create_task(post(server))
        await wait_until(lambda: server.load.open_requests == 2)
        server.kill_engine()
        with pytest.raises(httpx.RemoteProtocolError):
            await streaming
        assert (await waiting).status_code == 500
        assert [failure.exit_code for failure in server.failures] == [4]
        refused = await post(server)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "failed"


async def test_draining_rejects_new_requests_and_finishes_open_ones(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.01
    streaming = asyncio.create_task(post(server, input="x" * 30))
    await wait_until(lambda: server.load.open_requests == 1)
    server.service.supervisor.drain(enabled=True)
    refused = await post(server)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert len((await streaming).content) == 30 * PATCH * 2
    server.service.supervisor.drain(enabled=False)
    assert (await post(server)).status_code == 200


async def test_a_stream_that_outlives_the_drain_is_broken_off(server: Any, wait_until: Any) -> None:
    server.model.step_seconds = 0.05
    streaming = asyncio.create_task(post(server, input="x" * 290))
    await wait_until(lambda: server.load.running_sequences == 1)
    server.http.should_exit = True
    with pytest.raises(httpx.RemoteProtocolError):
        await streaming
    await wait_until(lambda: server.load.open_requests == 0)


async def test_a_client_far_behind_parks_the_sequence(start_server: Any, make_model: Any, wait_until: Any) -> None:
    model = make_model()
    async with start_server(model, max_buffered_audio_seconds=3.2, max_batch_size=1) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        before = model.steps_taken
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=30) as client,
            client.stream(
                "POST", "/v1/audio/speech", json={**SPEECH, "input": "x" * 290 + ", " + "y" * 290}
            ) as response,
        ):
            chunks = response.aiter_raw()
            first = await anext(chunks)
            await wait_until(lambda: server.load.parked_sequences > 0)
            assert model.steps_taken - before < 560
            rest = [chunk async for chunk in chunks]
        assert without_pauses(first + b"".join(rest), [291, 290]).size == 581 * PATCH


async def test_a_client_that_reads_nothing_is_disconnected(start_server: Any, make_model: Any, wait_until: Any) -> None:
    async with start_server(make_model(), max_buffered_audio_seconds=1.6, slow_client_seconds=0.3) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        body = b'{"model": "voxcpm-1.5", "input": "%s", "response_format": "pcm"}' % (b"words and " * 400)
        writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await wait_until(lambda: server.load.open_requests == 1)
        await wait_until(lambda: server.load.open_requests == 0)
        assert reader is not None
        writer.close()


async def test_a_model_names_the_languages_that_its_checkpoint_names(server: Any) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert "languages" not in (await client.get("/v1/models/voxcpm-1.5")).json()
        server.service.supervisor.loaded = replace(server.service.supervisor.loaded, languages=("en", "zh"))
        [model] = (await client.get("/v1/models")).json()["data"]
    assert model["languages"] == ["en", "zh"]


async def test_models_voices_and_health(server: Any) -> None:
    async with client_of(server) as openai_client:
        models = await openai_client.models.list()
    assert [model.id for model in models.data] == ["voxcpm-1.5"]
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/v1/models/voxcpm-1.5")).json()["id"] == "voxcpm-1.5"
        assert (await client.get("/v1/models/other")).status_code == 404
        assert [voice["id"] for voice in (await client.get("/v1/voices")).json()["data"]] == ["default", "random"]
        assert (await client.get("/health/live")).json() == {"state": "ready"}
        assert (await client.get("/health/ready")).status_code == 200


async def test_http_answers_while_the_weights_load(start_server: Any, make_model: Any, wait_until: Any) -> None:
    model = make_model()
    model.gate = threading.Event()  # the warm-up sentence waits
    async with start_server(model) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/health/live")).status_code == 200
            not_ready = await client.get("/health/ready")
        assert not_ready.status_code == 503
        assert not_ready.json()["state"] in {"loading", "warming"}
        refused = await post(server)
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        model.gate.set()
        await wait_until(lambda: server.lifecycle.is_ready)


@pytest.mark.parametrize(("flag", "wrong"), [("sample_rate", 16000), ("token_rate", 12.5)])
async def test_a_checkpoint_of_other_rates_fails_with_both_numbers(
    start_server: Any, make_model: Any, wait_until: Any, flag: str, wrong: float
) -> None:
    async with start_server(make_model(), **{flag: wrong}) as server:
        await wait_until(lambda: server.failures)
        assert server.failures[0].exit_code == 3
        assert f"--{flag.replace('_', '-')} is {wrong:g}" in server.failures[0].message
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/health/ready")).json() == {
                "state": "failed",
                "message": server.failures[0].message,
            }


async def test_requests_are_counted_by_status_and_outcome(server: Any, wait_until: Any) -> None:
    await post(server)
    await post(server, input="")
    await post(server, model="other")
    await post(server, input="please refuse")
    counted = {("200", "complete"): 1, ("400", "rejected"): 1, ("404", "rejected"): 1, ("500", "failed"): 1}
    await wait_until(lambda: requests_counted(server) == counted)
    assert requests_counted(server) == counted


def requests_counted(server: Any) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["status"], sample.labels["outcome"]): sample.value
        for metric in server.metrics.requests.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.value  # known outcomes begin with 0
    }


async def test_a_client_that_leaves_while_its_voice_is_encoded_leaves_no_open_request(
    server: Any, wait_until: Any
) -> None:
    server.model.voice_gate = threading.Event()
    encoder = make_encoder(FORMATS["wav"], 44100, 44100)
    recording = base64.b64encode(encoder.encode(tone(10).astype(np.float32)) + encoder.finish()).decode()
    asking = asyncio.create_task(post(server, reference_audio=recording, reference_text="so I said"))
    await wait_until(lambda: server.load.open_requests == 1)
    asking.cancel()
    await wait_until(lambda: server.load.open_requests == 0)
    server.model.voice_gate.set()
    assert (await post(server)).status_code == 200


async def test_the_users_text_is_never_logged(server: Any, capfd: Any) -> None:
    await post(server, input="my secret diary says hello")
    await post(server, input="my secret diary: please refuse")
    logged = "".join(capfd.readouterr())
    assert "secret" not in logged
    assert "diary" not in logged
