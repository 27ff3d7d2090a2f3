"""The engine's loop: plan a step, launch it, commit the one before.

Knows: the scheduler, the runner, an inbox of commands and a way to report.
Does not know: pipes, processes, HTTP or torch.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from voxfleet_inference.engine.messages import (
    Cancel,
    Command,
    EncodeVoice,
    Occupancy,
    Park,
    Report,
    Resting,
    Resume,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoiceEncoded,
)
from voxfleet_inference.engine.runner import Collected, Runner, Ticket
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import Committed, Ended, Limits, Plan, Room, Submission
from voxfleet_inference.engine.sequences import Outcome
from voxfleet_inference.engine.speech_model import Measured, SentenceTooLongError, SpeechModel

_MAX_VOICE_JOBS: Final = 16
_LOWEST_PRIORITY: Final = 19


@dataclass(frozen=True, slots=True)
class _Measured:
    """A sentence whose needs are known, or why they are not."""

    sentence: Sentence
    measured: Measured | SequenceEnded


class Engine:
    """Decodes sentences until told to stop; `tell` may be called from any thread."""

    def __init__(
        self, model: SpeechModel, limits: Limits, patch_seconds: float, report: Callable[[Report], None]
    ) -> None:
        self._model = model
        self._room = Room(model.seats, model.kv_positions)
        self._scheduler = BatchScheduler(limits, self._room, patch_seconds)
        self._runner = Runner(model)
        self._report = report
        self._inbox: queue.SimpleQueue[Command | _Measured] = queue.SimpleQueue()
        self._voices = ThreadPoolExecutor(1, thread_name_prefix="voices", initializer=_stand_back)
        self._voice_room = threading.BoundedSemaphore(_MAX_VOICE_JOBS)
        self._is_stopping = False
        self._commands = 0  # obeyed so far
        self._obeys: dict[type, Callable[..., None]] = {
            _Measured: lambda told: self._submit(told.sentence, told.measured),
            Cancel: lambda command: self._cancel(command.sequence_id),
            Park: lambda command: self._scheduler.park(command.sequence_id, time.monotonic()),
            Resume: lambda command: self._resume(command.sequence_id, command.unread_patches),
            EncodeVoice: self._encode,
            Stop: lambda _: self._stop(),
        }

    def tell(self, command: Command) -> None:
        """Give the engine a command.

        A sentence is measured here, so that the loop need not wait for it; a cancelled sequence is skipped even
        before the loop looks.
        """
        if isinstance(command, Cancel):
            self._runner.drop(command.sequence_id)
        self._inbox.put(self._measured(command.sentence) if isinstance(command, Submit) else command)

    def run(self) -> None:
        """The loop: one step in flight, results of the one before committed meanwhile."""
        in_flight: Ticket | None = None
        while not self._is_stopping:
            ticket = self._launch(self._scheduler.plan(time.monotonic()))
            is_idle = ticket is None and in_flight is None
            if in_flight is not None:
                self._commit(in_flight)
            if is_idle:
                self._report(Resting(self._occupancy(), self._commands))
            self._obey(after=ticket, wait=is_idle)
            in_flight = ticket
        self._close()

    def _launch(self, plan: Plan) -> Ticket | None:
        for ended in plan.expired:
            self._runner.drop(ended.sequence_id)
            self._end(ended)
            self._forget(ended.sequence_id)
        return None if plan.is_empty else self._runner.launch(plan)

    def _commit(self, ticket: Ticket) -> None:
        collected = self._runner.collect(ticket)
        committed = self._scheduler.commit(collected.plan, collected.results, time.monotonic())
        self._report(self._step_done(collected, committed))
        for ended in committed.ended:
            self._end(ended)
        for sequence_id in committed.released:
            self._runner.release(sequence_id)

    def _obey(self, *, after: Ticket | None, wait: bool) -> None:
        """Take every command that is there once the step is launched; with nothing to do, sleep until there is one."""
        if after is not None:
            self._runner.wait_until_launched(after)
        while True:
            try:
                command = self._inbox.get(block=wait, timeout=self._seconds_to_deadline())
            except queue.Empty:
                return
            self._obeys[type(command)](command)
            self._commands += 1
            wait = False

    def _seconds_to_deadline(self) -> float | None:
        deadline = self._scheduler.next_deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _step_done(self, collected: Collected, committed: Committed) -> StepDone:
        plan = collected.plan
        return StepDone(
            step_seconds=collected.step_seconds,
            patches=collected.patches,
            occupancy=self._occupancy(),
            commands=self._commands,
            step=plan.step,
            rows=len(plan.rows),
            prefill_positions=0 if plan.chunk is None else plan.chunk.positions,
            underruns=committed.underruns,
            least_slack_seconds=plan.least_slack_seconds,
            part_seconds=collected.part_seconds,
        )

    def _occupancy(self) -> Occupancy:
        standings = self._scheduler.count()
        return Occupancy(
            running=standings.prefilling + standings.running + standings.parked,
            waiting=standings.waiting,
            prefilling=standings.prefilling,
            parked=standings.parked,
            seats_used=standings.seats_used,
            seats=self._room.seats,
            kv_positions_used=standings.kv_positions_used,
            kv_positions=self._room.kv_positions,
        )

    def _measured(self, sentence: Sentence) -> _Measured:
        try:
            return _Measured(sentence, self._model.measure(sentence))
        except Exception as error:  # noqa: BLE001 - a sentence that cannot be read ends alone
            outcome = Outcome.IMPOSSIBLE if isinstance(error, SentenceTooLongError) else Outcome.FAILED
            message = str(error) if outcome is Outcome.IMPOSSIBLE else f"{type(error).__name__}: {error}"
            return _Measured(sentence, SequenceEnded(sentence.sequence_id, outcome, message))

    def _submit(self, sentence: Sentence, measured: Measured | SequenceEnded) -> None:
        if isinstance(measured, SequenceEnded):
            self._report(measured)
            return
        asked = Submission(
            sequence_id=sentence.sequence_id,
            measured=measured,
            request_id=sentence.request_id,
            rank=sentence.rank,
            priority=sentence.priority,
            speed=sentence.speed,
            deadline_seconds=sentence.deadline_seconds,
        )
        self._runner.register(sentence, measured)
        refusal = self._scheduler.submit(asked, time.monotonic())
        if refusal is not None:
            self._runner.release(sentence.sequence_id)
            self._report(SequenceEnded(sentence.sequence_id, refusal.outcome, refusal.message))

    def _cancel(self, sequence_id: int) -> None:
        ended = self._scheduler.cancel(sequence_id)
        if ended is not None:
            self._end(ended)
        self._forget(sequence_id)

    def _resume(self, sequence_id: int, unread_patches: int) -> None:
        self._scheduler.resume(sequence_id, time.monotonic(), unread_patches)

    def _end(self, ended: Ended) -> None:
        self._report(SequenceEnded(ended.sequence_id, ended.outcome, ended.message, ended.patches, ended.text_tokens))

    def _forget(self, sequence_id: int) -> None:
        """Free the seat of a sequence that has ended, unless a step in flight names it: then its commit does."""
        self._scheduler.release_ended([sequence_id])
        if not self._scheduler.knows(sequence_id):
            self._runner.release(sequence_id)

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


def _stand_back() -> None:
    """Let this thread, and those it will start, have what steps leave of the processors: listeners wait for steps.

    While a recording was encoded on two cores, a step took 1.4 instead of 3.3 times as long as alone.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)  # on Linux, of one thread
