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
    Idle,
    Occupancy,
    Outcome,
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
from voxfleet_inference.engine.model_backend import ModelBackend, SentenceTooLongError, SequenceCost
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import CommitResult, Ended, EngineCapacity, Limits, StepPlan, Submission
from voxfleet_inference.engine.step_executor import Collected, InFlightStep, StepExecutor

_MAX_VOICE_JOBS: Final = 16
_LOWEST_PRIORITY: Final = 19


@dataclass(frozen=True, slots=True)
class _CostedSentence:
    """A sentence whose needs are known, or why they are not."""

    sentence: Sentence
    cost: SequenceCost | SequenceEnded


class Engine:
    """Decodes sentences until told to stop; `tell` may be called from any thread."""

    def __init__(
        self, model: ModelBackend, limits: Limits, patch_seconds: float, report: Callable[[Report], None]
    ) -> None:
        self._model = model
        self._capacity = EngineCapacity(model.slots, model.kv_positions)
        self._scheduler = BatchScheduler(limits, self._capacity, patch_seconds)
        self._executor = StepExecutor(model)
        self._report = report
        self._inbox: queue.SimpleQueue[Command | _CostedSentence] = queue.SimpleQueue()
        self._voices = ThreadPoolExecutor(1, thread_name_prefix="voices", initializer=_lower_priority)
        self._voice_slots = threading.BoundedSemaphore(_MAX_VOICE_JOBS)
        self._is_stopping = False
        self._commands = 0  # obeyed so far
        self._handlers: dict[type, Callable[..., None]] = {
            _CostedSentence: lambda told: self._submit(told.sentence, told.cost),
            Cancel: lambda command: self._cancel(command.sequence_id),
            Park: lambda command: self._scheduler.park(command.sequence_id, time.monotonic()),
            Resume: lambda command: self._resume(command.sequence_id, command.unread_patches),
            EncodeVoice: self._encode,
            Stop: lambda _: self._stop(),
        }

    def enqueue(self, command: Command) -> None:
        """Give the engine a command.

        A sentence is measured here, so that the loop need not wait for it; a cancelled sequence is skipped even
        before the loop looks.
        """
        if isinstance(command, Cancel):
            self._executor.drop(command.sequence_id)
        self._inbox.put(self._costed(command.sentence) if isinstance(command, Submit) else command)

    def run(self) -> None:
        """The loop: one step in flight, results of the one before committed meanwhile."""
        in_flight: InFlightStep | None = None
        while not self._is_stopping:
            launched = self._launch(self._scheduler.schedule(time.monotonic()))
            is_idle = launched is None and in_flight is None
            if in_flight is not None:
                self._update(in_flight)
            if is_idle:
                self._report(Idle(self._occupancy(), self._commands))
            self._process_commands(after=launched, wait=is_idle)
            in_flight = launched
        self._close()

    def _launch(self, plan: StepPlan) -> InFlightStep | None:
        for ended in plan.expired:
            self._executor.drop(ended.sequence_id)
            self._end(ended)
            self._forget(ended.sequence_id)
        return None if plan.is_empty else self._executor.launch(plan)

    def _update(self, launched: InFlightStep) -> None:
        collected = self._executor.collect(launched)
        result = self._scheduler.update(collected.plan, collected.results, time.monotonic())
        self._report(self._step_done(collected, result))
        for ended in result.ended:
            self._end(ended)
        for sequence_id in result.released:
            self._executor.release(sequence_id)

    def _process_commands(self, *, after: InFlightStep | None, wait: bool) -> None:
        """Take every command that is there once the step is launched; with nothing to do, sleep until there is one."""
        if after is not None:
            self._executor.wait_until_launched(after)
        while True:
            try:
                command = self._inbox.get(block=wait, timeout=self._seconds_to_deadline())
            except queue.Empty:
                return
            self._handlers[type(command)](command)
            self._commands += 1
            wait = False

    def _seconds_to_deadline(self) -> float | None:
        deadline = self._scheduler.next_deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _step_done(self, collected: Collected, result: CommitResult) -> StepDone:
        plan = collected.plan
        return StepDone(
            step_seconds=collected.step_seconds,
            patches=collected.patches,
            occupancy=self._occupancy(),
            commands=self._commands,
            step=plan.step,
            rows=len(plan.rows),
            prefill_positions=0 if plan.chunk is None else plan.chunk.positions,
            underruns=result.underruns,
            least_slack_seconds=plan.least_slack_seconds,
            part_seconds=collected.part_seconds,
        )

    def _occupancy(self) -> Occupancy:
        counts = self._scheduler.count()
        return Occupancy(
            running=counts.prefilling + counts.running + counts.parked,
            waiting=counts.waiting,
            prefilling=counts.prefilling,
            parked=counts.parked,
            slots_used=counts.slots_used,
            slots=self._capacity.slots,
            kv_positions_used=counts.kv_positions_used,
            kv_positions=self._capacity.kv_positions,
        )

    def _costed(self, sentence: Sentence) -> _CostedSentence:
        try:
            return _CostedSentence(sentence, self._model.estimate_cost(sentence))
        except Exception as error:  # noqa: BLE001 - a sentence that cannot be read ends alone
            outcome = Outcome.TOO_LONG if isinstance(error, SentenceTooLongError) else Outcome.FAILED
            message = str(error) if outcome is Outcome.TOO_LONG else f"{type(error).__name__}: {error}"
            return _CostedSentence(sentence, SequenceEnded(sentence.sequence_id, outcome, message))

    def _submit(self, sentence: Sentence, cost: SequenceCost | SequenceEnded) -> None:
        if isinstance(cost, SequenceEnded):
            self._report(cost)
            return
        submission = Submission(
            sequence_id=sentence.sequence_id,
            cost=cost,
            request_id=sentence.request_id,
            rank=sentence.rank,
            priority=sentence.priority,
            speed=sentence.speed,
            deadline_seconds=sentence.deadline_seconds,
        )
        self._executor.register(sentence, cost)
        rejection = self._scheduler.submit(submission, time.monotonic())
        if rejection is not None:
            self._executor.release(sentence.sequence_id)
            self._report(SequenceEnded(sentence.sequence_id, rejection.outcome, rejection.message))

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
            self._executor.release(sequence_id)

    def _encode(self, job: EncodeVoice) -> None:
        if not self._voice_slots.acquire(blocking=False):
            message = f"{_MAX_VOICE_JOBS} recordings are already being read"
            self._report(VoiceEncoded(job.job_id, None, message, is_busy=True))
            return
        self._voices.submit(self._encode_now, job)

    def _encode_now(self, job: EncodeVoice) -> None:
        try:
            report = VoiceEncoded(job.job_id, self._model.encode_voice(job.samples, job.sample_rate))
        except Exception as error:  # noqa: BLE001 - a recording that cannot be read ends one request
            report = VoiceEncoded(job.job_id, None, f"{type(error).__name__}: {error}")
        self._voice_slots.release()
        self._report(report)

    def _stop(self) -> None:
        self._is_stopping = True

    def _close(self) -> None:
        self._executor.close()
        self._voices.shutdown(wait=True, cancel_futures=True)


def _lower_priority() -> None:
    """Let this thread, and those it will start, have what steps leave of the processors: listeners wait for steps.

    While a recording was encoded on two cores, a step took 1.4 instead of 3.3 times as long as alone.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)  # on Linux, of one thread
