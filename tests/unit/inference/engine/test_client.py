from __future__ import annotations

import asyncio
import socket
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import (
    EngineError,
    EngineGoneError,
    VoiceError,
)
from voxfleet_inference.engine.messages import (
    EngineGone,
    Loaded,
    Outcome,
    Report,
    Sentence,
    SequenceEnded,
)
from voxfleet_inference.engine.process import shut_down
from voxfleet_inference.engine.streams import SequenceStream


def sentence(text: str, **more: Any) -> Sentence:
    return Sentence(sequence_id=0, text=text, seed=1, **more)


async def test_streams_of_many_sentences_do_not_mix(pipe: Any) -> None:
    async def spoken(length: int) -> int:
        return len([patch async for patch in pipe.client.speak(sentence("x" * length), 100)])

    assert await asyncio.gather(*(spoken(length) for length in range(1, 8))) == list(range(1, 8))


async def test_closing_a_stream_cancels_its_sequence(pipe: Any, tone_model: Any, wait_until: Any) -> None:
    tone_model.step_seconds = 0.05
    stream = pipe.client.speak(sentence("x" * 100), 100)
    await anext(stream)
    stream.close()
    await wait_until(lambda: any(isinstance(report, SequenceEnded) for report in pipe.reports))
    assert [each.outcome for each in pipe.reports if isinstance(each, SequenceEnded)] == [Outcome.CANCELLED]
    assert (made := tone_model.steps_taken) < 100
    assert len([patch async for patch in pipe.client.speak(sentence("abc"), 100)]) == 3
    assert tone_model.steps_taken == made + 3


async def test_a_command_is_pending_until_a_report_counts_it(pipe: Any, tone_model: Any, wait_until: Any) -> None:
    tone_model.gate = threading.Event()
    assert pipe.client.oldest_pending_at is None
    before = time.monotonic()
    stream = pipe.client.speak(sentence("x" * 5), 100)
    await wait_until(lambda: tone_model.prefilled)  # processed, but the step that would report it waits at the gate
    stream.close()
    oldest_pending_at = pipe.client.oldest_pending_at
    assert oldest_pending_at is not None
    assert before <= oldest_pending_at <= time.monotonic(), "also after the stream is closed"
    tone_model.gate.set()
    await wait_until(lambda: pipe.client.oldest_pending_at is None)


async def test_request_ids_are_unique(pipe: Any) -> None:
    assert len({pipe.client.new_request_id() for _ in range(5)}) == 5


async def test_encoding_a_recording_returns_latents_or_raises(pipe: Any) -> None:
    latents = await pipe.client.encode_voice(np.zeros(44100, dtype=np.float32), 44100)
    assert latents.shape == (2, 4, 64)
    with pytest.raises(VoiceError, match="too short"):
        await pipe.client.encode_voice(np.zeros(10, dtype=np.float32), 44100)


async def test_the_end_of_the_engine_process_ends_open_streams(
    tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any, open_pipe: Any
) -> None:
    tone_model.gate = threading.Event()
    opened = open_pipe(start_engine_thread(lambda _: (tone_model, tone_loaded)))
    stream = opened.client.speak(sentence("abcd"), 100)
    shut_down(opened.engine.connection)
    with pytest.raises(EngineError, match="the engine process has ended"):
        await anext(stream)
    with pytest.raises(EngineGoneError):
        opened.client.speak(sentence("more"), 100)
    assert isinstance(opened.reports[-1], EngineGone)
    tone_model.gate.set()
    await opened.end()
    assert opened.engine.exit_codes == [0]


async def test_a_report_that_cannot_be_unpickled_ends_open_streams_and_the_pipe() -> None:
    ours, theirs = socket.socketpair()
    engine_end, reports = Connection(theirs.detach()), list[Report]()
    client = EngineClient(Connection(ours.detach()), reports.append)
    client.start()
    stream = client.speak(sentence("abcd"), 100)
    engine_end.send_bytes(b"no report at all")
    with pytest.raises(EngineError, match="said what cannot be read: UnpicklingError"):
        await anext(stream)
    with pytest.raises(EOFError):
        [engine_end.recv() for _ in range(2)]  # the command, then the end of the pipe


async def test_open_streams_can_be_cancelled_when_the_engine_reads_no_commands() -> None:
    """The engine reads nothing: new sentences are rejected at some point, but open streams can be closed."""
    ours, theirs = socket.socketpair()
    client = EngineClient(Connection(ours.detach()), lambda _: None)
    client.start()
    streams: list[SequenceStream] = []

    def speak_on() -> None:
        for _ in range(100_000):
            streams.append(client.speak(sentence("x" * 1000), 100))  # noqa: PERF401 - until it raises

    with pytest.raises(EngineError, match="does not read its commands"):
        speak_on()
    assert len(streams) > 4096
    for stream in streams:
        stream.close()
    assert not client._streams
    client.close()
    theirs.close()
