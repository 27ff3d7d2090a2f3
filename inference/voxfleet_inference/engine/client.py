"""The engine's client in the HTTP process: commands out, reports in, over one pipe.

Knows: which stream or future each report belongs to, which commands are unanswered, and that the end of the engine
process ends everything that is open.
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

from voxfleet_inference.engine.errors import EngineError, EngineGoneError, VoiceBusyError, VoiceError
from voxfleet_inference.engine.messages import (
    Cancel,
    Command,
    EncodeVoice,
    EngineGone,
    Float32Array,
    Idle,
    Outcome,
    Patch,
    Report,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoiceEncoded,
)
from voxfleet_inference.engine.process import shut_down
from voxfleet_inference.engine.streams import SequenceStream

_MAX_UNSENT_COMMANDS: Final = 4096  # the pipe is full and the engine does not read it


class EngineClient:
    """Sends commands to the engine and delivers its reports; call all methods on the event loop's thread."""

    def __init__(self, connection: Connection, observe: Callable[[Report], None]) -> None:
        """`observe` is called with every report, after it was delivered."""
        self._connection = connection
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._streams: dict[int, SequenceStream] = {}
        self._voices: dict[int, asyncio.Future[Float32Array]] = {}
        self._outbox: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._sent = 0  # commands
        self._unanswered: deque[tuple[int, float]] = deque()  # (number of the command, second it was sent)
        self._gone: str | None = None

    def start(self) -> None:
        """Start the threads that read and write the pipe."""
        threading.Thread(target=self._read_pipe, daemon=True, name="engine-reports").start()
        threading.Thread(target=self._write_pipe, daemon=True, name="engine-commands").start()

    def new_request_id(self) -> int:
        """An id for the sentences of one request to share."""
        return next(self._ids)

    def speak(self, sentence: Sentence, max_waiting_patches: int) -> SequenceStream:
        """Submit a sentence, under a new `sequence_id`; with `max_waiting_patches` unread, it is parked.

        Raises:
            EngineGoneError: the engine process has ended.
            EngineError: the engine does not read its commands.
        """
        self._check_alive()
        sequence_id = next(self._ids)
        stream = SequenceStream(sequence_id, max_waiting_patches, self.send, self.forget)
        self._streams[sequence_id] = stream
        self.send(Submit(replace(sentence, sequence_id=sequence_id)))
        return stream

    async def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Latents [patches, patch_size, feat_dim] of a mono recording [samples].

        Raises:
            VoiceError: the engine could not encode it.
            VoiceBusyError: too many others are queued.
            EngineGoneError: the engine process has ended.
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
        """Monotonic second at which the oldest unprocessed command was sent; None when all are processed."""
        return self._unanswered[0][1] if self._unanswered else None

    def send(self, command: Command) -> None:
        """Queue a command; those about open sequences are never rejected, so that each can be cancelled."""
        self._outbox.put(command)
        self._sent += 1
        self._unanswered.append((self._sent, time.monotonic()))

    def forget(self, sequence_id: int) -> None:
        """Drop a stream; cancel its sequence unless that has ended."""
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
        if self._outbox.qsize() >= _MAX_UNSENT_COMMANDS:
            raise EngineError("the engine does not read its commands")

    def _write_pipe(self) -> None:
        while (command := self._outbox.get()) is not None:
            try:
                self._connection.send(command)
            except OSError:
                return  # the reading thread sees the same end, and reports it

    def _read_pipe(self) -> None:
        while True:
            report = self._next_report()
            try:
                self._loop.call_soon_threadsafe(self._deliver, report)
            except RuntimeError:  # the event loop is closed: an unread pipe would block the engine for ever
                shut_down(self._connection)
                return
            if isinstance(report, EngineGone):
                return

    def _next_report(self) -> Report:
        """Read a report; the end of the pipe, and anything that cannot be unpickled, is EngineGone."""
        try:
            report: Report = self._connection.recv()
        except (EOFError, OSError):
            return EngineGone("the engine process has ended")
        except Exception as error:  # noqa: BLE001 - the reports after it cannot be trusted, whatever it is
            shut_down(self._connection)
            return EngineGone(f"the engine process said what cannot be read: {type(error).__name__}: {error}")
        return report

    def _deliver(self, report: Report) -> None:
        match report:
            case StepDone():
                self._acknowledge(report.commands)
                for patch in report.patches:
                    self._put(patch)
            case Idle():
                self._acknowledge(report.commands)
            case SequenceEnded():
                self._put(report)
                self._streams.pop(report.sequence_id, None)
            case VoiceEncoded():
                self._answer_voice(report)
            case EngineGone():
                self._end_all(report.message)
        self._observe(report)

    def _acknowledge(self, commands: int) -> None:
        while self._unanswered and self._unanswered[0][0] <= commands:
            self._unanswered.popleft()

    def _put(self, report: Patch | SequenceEnded) -> None:
        stream = self._streams.get(report.sequence_id)
        if stream is not None:  # else it was closed, and its sequence cancelled
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
