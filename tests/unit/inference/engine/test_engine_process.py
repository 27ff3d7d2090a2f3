from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
from voxfleet_inference.engine.client import EngineClient
from voxfleet_inference.engine.errors import (
    EngineError,
    EngineGoneError,
    QueueFullError,
    SequenceExpiredError,
    SequenceTooLongError,
    VoiceBusyError,
    VoiceError,
)
from voxfleet_inference.engine.messages import (
    EngineGone,
    Loaded,
    LoadFailed,
    Outcome,
    Report,
    Sentence,
    SequenceEnded,
    SequenceParams,
)
from voxfleet_inference.engine.process import EngineSettings, WrongWeightsError, shut_down
from voxfleet_inference.engine.streams import SequenceStream


class Pipe:
    """The client of an engine in a thread."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.reports: list[Report] = []
        self.client = EngineClient(engine.connection, self.reports.append)
        self.client.start()

    async def first_report(self) -> Report:
        async with asyncio.timeout(60):
            while not self.reports:  # noqa: ASYNC110 - a test watches from outside
                await asyncio.sleep(0.005)
        return self.reports[0]

    async def end(self) -> None:
        self.client.close()
        await self.engine.join()


@pytest.fixture
async def pipe(tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any) -> AsyncIterator[Pipe]:
    opened = Pipe(start_engine_thread(lambda _: (tone_model, tone_loaded)))
    yield opened
    await opened.end()


def sentence(text: str, **more: Any) -> Sentence:
    return Sentence(sequence_id=0, text=text, seed=1, **more)


async def test_loaded_is_the_first_report_and_carries_the_seconds(pipe: Pipe) -> None:
    loaded = await pipe.first_report()
    assert isinstance(loaded, Loaded)
    assert loaded.sample_rate == 44100
    assert loaded.loaded_seconds > 0


async def test_a_stream_gives_its_patches_and_ends(pipe: Pipe) -> None:
    stream = pipe.client.speak(sentence("abcd"), 100)
    patches = [patch async for patch in stream]
    assert len(patches) == 4
    assert stream.ended is not None
    assert stream.ended.patches == 4


async def test_streams_of_many_sentences_do_not_mix(pipe: Pipe) -> None:
    async def spoken(length: int) -> int:
        return len([patch async for patch in pipe.client.speak(sentence("x" * length), 100)])

    assert await asyncio.gather(*(spoken(length) for length in range(1, 8))) == list(range(1, 8))


async def test_closing_a_stream_cancels_its_sequence(pipe: Pipe, tone_model: Any, wait_until: Any) -> None:
    tone_model.step_seconds = 0.05
    stream = pipe.client.speak(sentence("x" * 100), 100)
    await anext(stream)
    stream.close()
    await wait_until(lambda: any(isinstance(report, SequenceEnded) for report in pipe.reports))
    assert [each.outcome for each in pipe.reports if isinstance(each, SequenceEnded)] == [Outcome.CANCELLED]
    assert (made := tone_model.steps_taken) < 100
    assert len([patch async for patch in pipe.client.speak(sentence("abc"), 100)]) == 3
    assert tone_model.steps_taken == made + 3


async def test_what_the_engine_was_told_is_unanswered_until_it_says_so(
    pipe: Pipe, tone_model: Any, wait_until: Any
) -> None:
    tone_model.gate = threading.Event()
    assert pipe.client.oldest_pending_at is None
    before = time.monotonic()
    stream = pipe.client.speak(sentence("x" * 5), 100)
    await wait_until(lambda: tone_model.prefilled)  # obeyed, but the step that would tell stands at the gate
    stream.close()
    oldest_pending_at = pipe.client.oldest_pending_at
    assert oldest_pending_at is not None
    assert before <= oldest_pending_at <= time.monotonic(), "also when nobody waits for it any more"
    tone_model.gate.set()
    await wait_until(lambda: pipe.client.oldest_pending_at is None)


async def test_an_unread_stream_is_parked_and_goes_on_when_it_is_read(pipe: Pipe, tone_model: Any) -> None:
    tone_model.step_seconds = 0.02
    stream = pipe.client.speak(sentence("x" * 200), max_waiting_patches=5)
    await anext(stream)
    assert 5 <= await settled(lambda: tone_model.steps_taken) < 200
    tone_model.step_seconds = 0.0
    assert len([patch async for patch in stream]) == 199


async def settled(count: Callable[[], int], for_seconds: float = 0.5) -> int:
    """The count, once it has not grown for a while."""
    async with asyncio.timeout(60):
        while True:
            before = count()
            await asyncio.sleep(for_seconds)
            if count() == before:
                return before


async def test_a_failed_sentence_raises_its_message(pipe: Pipe) -> None:
    with pytest.raises(EngineError, match="this sentence cannot be read"):
        await anext(pipe.client.speak(sentence("refuse"), 100))


@pytest.mark.parametrize(
    ("text", "more", "error"),
    [
        ("an endless sentence", {}, SequenceTooLongError),
        ("x" * 50_000, {"params": SequenceParams(deadline_seconds=0.1)}, SequenceExpiredError),
    ],
)
async def test_a_sentence_that_cannot_end_well_says_which_way(
    pipe: Pipe, tone_model: Any, text: str, more: dict[str, Any], error: type[EngineError]
) -> None:
    tone_model.step_seconds = 0.01
    with pytest.raises(error):
        async for _ in pipe.client.speak(sentence(text, **more), 100_000):
            pass


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome.FAILED, EngineError),
        (Outcome.EXPIRED, SequenceExpiredError),
        (Outcome.TOO_LONG, SequenceTooLongError),
        (Outcome.QUEUE_FULL, QueueFullError),
    ],
)
async def test_a_stream_tells_how_its_sentence_ended(pipe: Pipe, outcome: Outcome, error: type[EngineError]) -> None:
    stream = SequenceStream(1, 8, pipe.client.send, pipe.client.forget)
    stream.put(SequenceEnded(1, outcome, "because"))
    with pytest.raises(error, match="because") as raised:
        await anext(stream)
    assert raised.type is error


async def test_requests_and_sequences_are_numbered_apart(pipe: Pipe) -> None:
    assert len({pipe.client.new_request_id() for _ in range(5)}) == 5


async def test_voices_come_back_or_say_why_not(pipe: Pipe) -> None:
    latents = await pipe.client.encode_voice(np.zeros(44100, dtype=np.float32), 44100)
    assert latents.shape == (2, 4, 64)
    with pytest.raises(VoiceError, match="too short"):
        await pipe.client.encode_voice(np.zeros(10, dtype=np.float32), 44100)


async def test_too_many_recordings_at_once_are_told_to_come_back(pipe: Pipe, tone_model: Any) -> None:
    tone_model.voice_gate = threading.Event()
    jobs = [asyncio.create_task(pipe.client.encode_voice(np.zeros(44100, np.float32), 44100)) for _ in range(17)]
    refused = (await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED))[0].pop()
    with pytest.raises(VoiceBusyError, match="16 recordings are already being read"):
        refused.result()
    tone_model.voice_gate.set()
    answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(answer, np.ndarray) for answer in answers) == 16


async def test_wrong_weights_are_reported_and_end_the_process_with_three(start_engine_thread: Any) -> None:
    def refuse(_: EngineSettings) -> Any:
        raise WrongWeightsError("model.safetensors: tensor stop_head.weight has shape [2, 3]")

    opened = Pipe(start_engine_thread(refuse))
    report = await opened.first_report()
    assert isinstance(report, LoadFailed)
    assert report.message == "model.safetensors: tensor stop_head.weight has shape [2, 3]"
    await opened.end()
    assert opened.engine.exit_codes == [3]


async def test_a_gone_engine_ends_everything_that_is_open(
    tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any
) -> None:
    tone_model.gate = threading.Event()
    opened = Pipe(start_engine_thread(lambda _: (tone_model, tone_loaded)))
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


async def test_what_cannot_be_read_ends_the_engine_instead_of_making_it_deaf(
    tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any
) -> None:
    opened = Pipe(start_engine_thread(lambda _: (tone_model, tone_loaded)))
    await opened.first_report()
    tone_model.step_seconds = 0.01
    stream = opened.client.speak(sentence("x" * 10_000), 100_000)
    await anext(stream)
    opened.engine.connection.send_bytes(b"no command at all")
    await opened.engine.join()
    with pytest.raises(EngineError, match="the engine process has ended"):
        async for _ in stream:
            pass


async def test_what_the_engine_says_and_nobody_understands_ends_whoever_waits() -> None:
    ours, theirs = socket.socketpair()
    engine_end, reports = Connection(theirs.detach()), list[Report]()
    client = EngineClient(Connection(ours.detach()), reports.append)
    client.start()
    stream = client.speak(sentence("abcd"), 100)
    engine_end.send_bytes(b"no report at all")
    with pytest.raises(EngineError, match="said what cannot be read: UnpicklingError"):
        await anext(stream)
    with pytest.raises(EOFError):
        [engine_end.recv() for _ in range(2)]  # the command, then the end: nobody waits here either


def test_an_engine_that_nobody_listens_to_any_more_ends(
    tone_model: Any, tone_loaded: Loaded, start_engine_thread: Any
) -> None:
    """Its reports fill the pipe, and it would wait in the middle of one, deaf to everything else."""
    engine = start_engine_thread(lambda _: (tone_model, tone_loaded))

    async def speak() -> None:
        client = EngineClient(engine.connection, lambda _: None)
        client.start()
        await anext(client.speak(sentence("x" * 20_000), 100_000))

    asyncio.run(speak())  # which closes its event loop
    asyncio.run(engine.join())


async def test_no_listener_is_refused_to_leave_however_busy_the_engine_is() -> None:
    """An engine that reads nothing: new sentences are refused at some point, but what is open can be closed."""
    ours, theirs = socket.socketpair()
    client = EngineClient(Connection(ours.detach()), lambda _: None)
    client.start()
    streams: list[SequenceStream] = []

    def speak_on() -> None:
        for _ in range(100_000):
            streams.append(client.speak(sentence("x" * 1000), 100))  # noqa: PERF401 - until it is refused

    with pytest.raises(EngineError, match="does not read its commands"):
        speak_on()
    assert len(streams) > 4096
    for stream in streams:
        stream.close()
    assert not client._streams
    client.close()
    theirs.close()


def test_the_engine_module_ignores_signals_meant_for_its_parent() -> None:
    """A terminal's Ctrl-C reaches both processes; the parent drains, so the engine has to live on."""
    ours, theirs = socket.socketpair()
    source = (
        "import sys, voxfleet_inference.worker.__main__ as m;"
        "m.serve_connection = lambda connection, load: print('up', flush=True) or int(connection.recv());"
        "sys.modules['voxfleet_inference.worker.loading'] = type(sys)('loading');"
        "sys.modules['voxfleet_inference.worker.loading'].load_backend = None;"
        "sys.argv = ['engine', sys.argv[1], 'info']; m.main()"
    )
    command = [sys.executable, "-c", source, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE) as process:
        theirs.close()
        with ours:  # closed, whatever happens: then the process ends, and nobody waits for it
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            assert process.poll() is None
            Connection(os.dup(ours.fileno())).send(7)
            assert process.wait(60) == 7
