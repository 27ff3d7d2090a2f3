"""The engine's loop: plan a step, launch it, commit the one before.

Knows: the scheduler, the runner, an inbox of commands and a way to report.
Does not know: pipes, processes, HTTP or torch.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from voxfleet_inference.engine.batch_scheduler import BatchScheduler, Ended, Limits, Plan
from voxfleet_inference.engine.messages import (
    Cancel,
    Command,
    EncodeVoice,
    Park,
    Report,
    Resume,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoiceEncoded,
)
from voxfleet_inference.engine.runner import Runner, SpeechModel, Ticket
from voxfleet_inference.engine.sequences import Outcome, State

_MAX_VOICE_JOBS = 16


class Engine:
    """Decodes sentences until told to stop; `tell` may be called from any thread."""

    def __init__(self, model: SpeechModel, limits: Limits, report: Callable[[Report], None]) -> None:
        self._model = model
        self._scheduler = BatchScheduler(limits)
        self._runner = Runner(model)
        self._report = report
        self._inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._voices = ThreadPoolExecutor(1, thread_name_prefix="voices")
        self._voice_room = threading.BoundedSemaphore(_MAX_VOICE_JOBS)
        self._is_stopping = False
        self._obeys: dict[type, Callable[..., None]] = {
            Submit: lambda command: self._submit(command.sentence),
            Cancel: lambda command: self._cancel(command.sequence_id),
            Park: lambda command: self._scheduler.park(command.sequence_id),
            Resume: lambda command: self._scheduler.resume(command.sequence_id),
            EncodeVoice: self._encode,
            Stop: lambda _: self._stop(),
        }

    def tell(self, command: Command) -> None:
        """Give the engine a command; a cancelled sequence is skipped even before the loop looks."""
        if isinstance(command, Cancel):
            self._runner.drop(command.sequence_id)
        self._inbox.put(command)

    def run(self) -> None:
        """The loop: one step in flight, results of the one before committed meanwhile."""
        in_flight: Ticket | None = None
        while not self._is_stopping:
            ticket = self._launch(self._scheduler.plan(time.monotonic()))
            is_idle = ticket is None and in_flight is None
            if in_flight is not None:
                self._commit(in_flight)
            in_flight = ticket
            self._obey(wait=is_idle)
        self._close()

    def _launch(self, plan: Plan) -> Ticket | None:
        return None if plan.is_empty else self._runner.launch(plan)

    def _commit(self, ticket: Ticket) -> None:
        collected = self._runner.collect(ticket)
        committed = self._scheduler.commit(collected.results)
        counts = (self._scheduler.count(State.RUNNING, State.PARKED), self._scheduler.count(State.WAITING))
        self._report(StepDone(collected.step_seconds, collected.patches, *counts))
        for ended in committed.ended:
            self._report_end(ended)
        for sequence_id in committed.released:
            self._runner.release(sequence_id)

    def _obey(self, *, wait: bool) -> None:
        """Take every command at hand; with nothing to run, sleep until there is one."""
        while True:
            try:
                command = self._inbox.get(block=wait)
            except queue.Empty:
                return
            self._obeys[type(command)](command)
            wait = False

    def _submit(self, sentence: Sentence) -> None:
        self._runner.register(sentence)
        refused = self._scheduler.submit(sentence.sequence_id, sentence.rank)
        if refused is not None:
            self._runner.release(sentence.sequence_id)
            message = f"the engine's queue is full: {refused.waiting} of {refused.max_waiting} sentences wait"
            self._report(SequenceEnded(sentence.sequence_id, Outcome.FAILED, message))

    def _cancel(self, sequence_id: int) -> None:
        ended = self._scheduler.cancel(sequence_id)
        if ended is not None:
            self._report_end(ended)
        for gone in self._scheduler.forget_ended():
            self._runner.release(gone)
        if not self._scheduler.knows(sequence_id):
            self._runner.release(sequence_id)

    def _report_end(self, ended: Ended) -> None:
        patches = self._runner.patches_made(ended.sequence_id)
        self._report(SequenceEnded(ended.sequence_id, ended.outcome, ended.message, patches))

    def _encode(self, job: EncodeVoice) -> None:
        if not self._voice_room.acquire(blocking=False):
            message = f"{_MAX_VOICE_JOBS} recordings are already being read"
            self._report(VoiceEncoded(job.job_id, None, message, is_busy=True))
            return
        self._voices.submit(self._encode_now, job)

    def _encode_now(self, job: EncodeVoice) -> None:
        try:
            report = VoiceEncoded(job.job_id, self._model.encode_voice(job.samples, job.sample_rate))
        except Exception as error:  # noqa: BLE001 - a recording that cannot be read ends one request
            report = VoiceEncoded(job.job_id, None, f"{type(error).__name__}: {error}")
        self._voice_room.release()
        self._report(report)

    def _stop(self) -> None:
        self._is_stopping = True

    def _close(self) -> None:
        self._runner.close()
        self._voices.shutdown(wait=True, cancel_futures=True)
