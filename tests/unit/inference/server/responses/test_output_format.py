"""Every format as OpenAI's client receives it: audio from the first patch on, and all of it at the end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import openai
import pytest
from voxfleet_inference.audio.formats import FORMATS

MODEL_RATE, PATCH = 44100, 7056
TEXT = "Sixteen letters."
DELAYS = {"mp3": 1105, "aac": 1024}  # samples that the encoder puts in front; see audio/test_encoding.py
FRAMES = {"mp3": 1152, "aac": 1024, "opus": 960}
# Samples that a codec and its decoder hold back until more follow.
HELD_BACK = {"mp3": 1105 + 3 * 1152, "aac": 3 * 1024, "opus": 3 * 960, "flac": 2 * 4608}
TELEPHONE = ("mulaw", "alaw")  # G.711 without a header
FIRST_PATCHES = 2
PATIENCE_SECONDS = 60.0


def chirp(first: int, count: int) -> Any:
    """A rising tone, in which every position is recognisable."""
    at = np.arange(first, first + count) / MODEL_RATE
    return (0.4 * np.sin(2 * np.pi * (200 * at + 300 * at**2)) * (1 + np.sin(9 * at)) / 2).astype(np.float32)


def chirped(row: Any) -> Any:
    row.taken += 1
    return chirp((row.taken - 1) * PATCH, PATCH)


class StepGate(threading.Event):
    """Lets a number of steps pass before it must be opened."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def wait(self, timeout: float | None = None) -> bool:
        self.steps -= 1
        return self.steps >= 0 or super().wait(timeout)


@pytest.fixture
async def server(start_server: Any, make_model: Any, wait_until: Any) -> AsyncIterator[Any]:
    model = type("ChirpModel", (make_model,), {"_tone": staticmethod(chirped)})()
    async with start_server(model) as running:
        await wait_until(lambda: running.lifecycle.is_ready)
        yield running
        if model.gate is not None:
            model.gate.set()


def decoded(name: str, data: bytes, rate: int) -> Any:
    """Decode a stream that may not be complete."""
    if name == "pcm":
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2") / 32767
    heard: list[Any] = [np.zeros(0)]
    raw = {"format": name, "options": {"sample_rate": str(rate)}} if name in TELEPHONE else {}
    with (
        contextlib.suppress(av.error.EOFError, av.error.InvalidDataError),
        av.open(io.BytesIO(data), **raw) as container,
    ):
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        heard.extend(each.to_ndarray()[0] for frame in container.decode(audio=0) for each in resampler.resample(frame))
    return np.concatenate(heard)


def expected(rate: int) -> Any:
    samples = chirp(0, len(TEXT) * PATCH)
    at = np.arange(int(len(samples) * rate / MODEL_RATE)) * MODEL_RATE / rate
    return np.interp(at, np.arange(len(samples)), samples)


@pytest.fixture
async def client(server: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as one:
        yield one


async def received_early(chunks: Any, name: str, rate: int) -> bytes:
    """Receive what is sent while only the first patches are made, less what the codec holds back."""
    wanted = FIRST_PATCHES * PATCH * rate / MODEL_RATE - HELD_BACK.get(name, 0) - 64
    received = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(heard := decoded(name, received, rate)) < wanted:
            received += await anext(chunks)
    assert np.abs(heard[DELAYS.get(name, 0) + 1000 :]).max() > 0.1
    return received


@pytest.mark.parametrize("name", FORMATS)
async def test_the_first_patches_arrive_before_others_are_made(
    server: Any, client: openai.AsyncOpenAI, name: str
) -> None:
    server.model.gate = StepGate(FIRST_PATCHES)
    rate = FORMATS[name].rate_for(None, MODEL_RATE)
    response_format: Any = name
    async with client.audio.speech.with_streaming_response.create(
        model="voxcpm-1.5", voice="default", input=TEXT, response_format=response_format
    ) as response:
        assert response.headers["content-type"] == FORMATS[name].media_type
        chunks = response.iter_bytes()
        early = await received_early(chunks, name, rate)
        server.model.gate.set()
        whole = decoded(name, early + b"".join([chunk async for chunk in chunks]), rate)
    spoken, delay = expected(rate), DELAYS.get(name, 0)
    assert -2 <= len(whole) - len(spoken) - delay <= FRAMES.get(name, 0) + 2
    length = min(len(whole) - delay, len(spoken))
    assert np.corrcoef(whole[delay : delay + length], spoken[:length])[0, 1] > 0.99


@pytest.mark.parametrize(("name", "rate"), [("wav", 16000), ("mp3", 24000), ("flac", 48000), ("aac", 22050)])
async def test_a_request_may_set_the_sample_rate(client: openai.AsyncOpenAI, name: str, rate: int) -> None:
    response_format: Any = name
    answer = await client.audio.speech.create(
        model="voxcpm-1.5",
        voice="default",
        input=TEXT,
        response_format=response_format,
        extra_body={"sample_rate": rate},
    )
    with av.open(io.BytesIO(answer.content)) as container:
        assert container.streams.audio[0].codec_context.sample_rate == rate
    whole = decoded(name, answer.content, rate)
    assert abs(len(whole) - len(expected(rate)) - DELAYS.get(name, 0)) <= FRAMES.get(name, 0) + 2


async def test_speed_is_one_stream_and_one_is_bit_for_bit(client: openai.AsyncOpenAI) -> None:
    async def pcm(speed: float) -> bytes:
        extra = {"sample_rate": MODEL_RATE}
        answer = await client.audio.speech.create(
            model="voxcpm-1.5", voice="default", input=TEXT, response_format="pcm", speed=speed, extra_body=extra
        )
        return answer.content

    as_sent = np.frombuffer(await pcm(1.0), "<i2")
    pieces = np.concatenate([chirp(at * PATCH, PATCH) for at in range(len(TEXT))])
    assert np.array_equal(as_sent, np.rint(pieces * 32767).astype("<i2"))
    for speed in (0.25, 0.7, 3.0):
        assert len(await pcm(speed)) / len(as_sent) / 2 == pytest.approx(1 / speed, rel=0.05)


async def test_the_synchronous_client_writes_a_file_as_it_streams(server: Any, tmp_path: Path) -> None:
    def write() -> None:
        with (
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
            client.audio.speech.with_streaming_response.create(
                model="voxcpm-1.5", voice={"id": "default"}, input=TEXT, response_format="flac", instructions="Briefly."
            ) as response,
        ):
            response.stream_to_file(tmp_path / "speech.flac")

    await asyncio.to_thread(write)
    whole = decoded("flac", (tmp_path / "speech.flac").read_bytes(), MODEL_RATE)
    assert np.allclose(whole, expected(MODEL_RATE), atol=1e-3)
