"""The engine as the HTTP process sees it: sentences in, patches out, over one pipe.

Knows: which stream each report belongs to, which commands are yet to be obeyed, and that a dead engine ends every
stream that is open.
Does not know: HTTP, audio formats or what the engine does.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Final

from voxfleet_inference.engine.messages import (
    Cancel,
    Command,
    EncodeVoice,
    EngineGone,
    Float32Array,
    Idle,
    Outcome,
    Park,
    Patch,
    Report,
    Resume,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoiceEncoded,
)
from voxfleet_inference.engine.process import shut_down

_MAX_COMMANDS_ON_THE_WAY = 4096


class EngineError(Exception):
    """The engine could not do what was asked; the request ends."""


class EngineGoneError(EngineError):
    """The engine process has ended."""


class SequenceExpiredError(EngineError):
    """The sentence was not spoken within its deadline."""


class SequenceTooLongError(EngineError):
    """The sentence needs more than the machine has, now and always."""


class QueueFullError(EngineError):
    """Too many sentences wait; later there may be room."""


class VoiceError(EngineError):
    """A recording could not be turned into a voice."""


class VoiceBusyError(EngineError):
    """Too many recordings are being read; later there may be room."""


_ERRORS: Final = {
    Outcome.FAILED: EngineError,
    Outcome.EXPIRED: SequenceExpiredError,
    Outcome.TOO_LONG: SequenceTooLongError,
    Outcome.QUEUE_FULL: QueueFullError,
}


class SequenceStream:
    """The patches of one sequence, in order; leaving it before its end cancels the sequence."""

    def __init__(self, client: EngineClient, sequence_id: int, max_waiting_patches: int) -> None:
        self._client = client
        self._sequence_id = sequence_id
        self._max_waiting_patches = max_waiting_patches
        self._is_parked = False
        self._arrived: asyncio.Queue[Patch | SequenceEnded] = asyncio.Queue()
        self.ended: SequenceEnded | None = None

    def __aiter__(self) -> SequenceStream:
        """The stream is its own iterator."""
        return self

    async def __anext__(self) -> Patch:
        """The next patch.

        Raises:
            EngineError: the sequence failed; its subclasses say which way.
        """
        if self.ended is not None:
            raise StopAsyncIteration
        arrived = await self._arrived.get()
        self._resume_if_drained()
        if isinstance(arrived, Patch):
            return arrived
        self.ended = arrived
        if (failure := _ERRORS.get(arrived.outcome)) is not None:
            raise failure(arrived.message)
        raise StopAsyncIteration

    def put(self, report: Patch | SequenceEnded) -> None:
        """Take a report from the engine; a reader who is too far behind parks the sequence."""
        self._arrived.put_nowait(report)
        is_behind = isinstance(report, Patch) and self._arrived.qsize() >= self._max_waiting_patches
        if is_behind and not self._is_parked:
            self._is_parked = True
            self._client.send(Park(self._sequence_id))

    def _resume_if_drained(self) -> None:
        if self._is_parked and self._arrived.qsize() <= self._max_waiting_patches // 2:
            self._is_parked = False
            self._client.send(Resume(self._sequence_id, self._arrived.qsize()))

    def close(self) -> None:
        """Cancel the sequence unless it has ended."""
        self._client.forget(self._sequence_id)


class EngineClient:
    """Talks to the engine; all methods belong to the event loop's thread."""

    def __init__(self, connection: Connection, observe: Callable[[Report], None]) -> None:
        self._connection = connection
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._streams: dict[int, SequenceStream] = {}
        self._voices: dict[int, asyncio.Future[Float32Array]] = {}
        self._outbox: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._sent = 0  # commands
        self._unanswered: deque[tuple[int, float]] = deque()  # their numbers, and when they were sent
        self._gone: str | None = None

    def start(self) -> None:
        """Begin to listen and to send."""
        threading.Thread(target=self._listen, daemon=True, name="engine-reports").start()
        threading.Thread(target=self._deliver, daemon=True, name="engine-commands").start()

    def new_request_id(self) -> int:
        """What the sentences of one request have in common."""
        return next(self._ids)

    def speak(self, sentence: Sentence, max_waiting_patches: int) -> SequenceStream:
        """Submit a sentence; its `sequence_id` is given here. Beyond `max_waiting_patches` unread, it is parked.

        Raises:
            EngineGoneError: the engine has ended.
            EngineError: it has not read its commands for a long time.
        """
        self._check_alive()
        sequence_id = next(self._ids)
        stream = self._streams[sequence_id] = SequenceStream(self, sequence_id, max_waiting_patches)
        self.send(Submit(replace(sentence, sequence_id=sequence_id)))
        return stream

    async def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """The latents of a mono recording.

        Raises:
            VoiceError: the engine could not read it.
            VoiceBusyError: it reads too many others.
            EngineGoneError: it has ended.
        """
        self._check_alive()
        job_id = next(self._ids)
        answer = self._voices[job_id] = self._loop.create_future()
        self.send(EncodeVoice(job_id, samples, sample_rate))
        try:
            latents: Float32Array = await answer
        finally:
            self._voices.pop(job_id, None)
        return latents

    @property
    def oldest_pending_at(self) -> float | None:
        """When the oldest command that the engine is yet to obey was sent; None when it has obeyed them all."""
        return self._unanswered[0][1] if self._unanswered else None

    def send(self, command: Command) -> None:
        """Put a command on its way; one about a sequence that is open is never refused."""
        self._outbox.put(command)
        self._sent += 1
        self._unanswered.append((self._sent, time.monotonic()))

    def forget(self, sequence_id: int) -> None:
        """Drop a stream; the sequence is cancelled unless its end has arrived."""
        stream = self._streams.pop(sequence_id, None)
        if stream is not None and self._gone is None:
            self.send(Cancel(sequence_id))

    def close(self) -> None:
        """Stop the engine."""
        if self._gone is None:
            self.send(Stop())
        self._outbox.put(None)

    def _check_alive(self) -> None:
        if self._gone is not None:
            raise EngineGoneError(self._gone)
        if self._outbox.qsize() >= _MAX_COMMANDS_ON_THE_WAY:
            raise EngineError("the engine does not read its commands")

    def _deliver(self) -> None:
        while (command := self._outbox.get()) is not None:
            try:
                self._connection.send(command)
            except OSError:
                return

    def _listen(self) -> None:
        while True:
            report = self._next_report()
            try:
                self._loop.call_soon_threadsafe(self._dispatch, report)
            except RuntimeError:  # the event loop is closed: an engine that goes on would wait for a reader for ever
                shut_down(self._connection)
                return
            if isinstance(report, EngineGone):
                return

    def _next_report(self) -> Report:
        """What the engine says; a pipe that has ended, or that brings what nobody understands, is its end."""
        try:
            report: Report = self._connection.recv()
        except (EOFError, OSError):
            return EngineGone("the engine process has ended")
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever for what follows it
            shut_down(self._connection)
            return EngineGone(f"the engine process said what cannot be read: {type(error).__name__}: {error}")
        return report

    def _dispatch(self, report: Report) -> None:
        match report:
            case StepDone():
                self._acknowledge(report.commands)
                for patch in report.patches:
                    self._pass_on(patch.sequence_id, patch)
            case Idle():
                self._acknowledge(report.commands)
            case SequenceEnded():
                self._pass_on(report.sequence_id, report)
                self._streams.pop(report.sequence_id, None)
            case VoiceEncoded():
                self._answer_voice(report)
            case EngineGone():
                self._end_all(report.message)
        self._observe(report)

    def _acknowledge(self, commands: int) -> None:
        while self._unanswered and self._unanswered[0][0] <= commands:
            self._unanswered.popleft()

    def _pass_on(self, sequence_id: int, report: Patch | SequenceEnded) -> None:
        stream = self._streams.get(sequence_id)
        if stream is not None:
            stream.put(report)

    def _answer_voice(self, report: VoiceEncoded) -> None:
        answer = self._voices.get(report.job_id)
        if answer is None or answer.done():
            return
        if report.latents is None:
            answer.set_exception((VoiceBusyError if report.is_busy else VoiceError)(report.message))
        else:
            answer.set_result(report.latents)

    def _end_all(self, message: str) -> None:
        self._gone = message
        for sequence_id, stream in tuple(self._streams.items()):
            stream.put(SequenceEnded(sequence_id, Outcome.FAILED, message))
        for answer in self._voices.values():
            if not answer.done():
                answer.set_exception(EngineGoneError(message))
        self._streams.clear()
