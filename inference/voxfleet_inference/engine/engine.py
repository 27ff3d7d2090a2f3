"""The engine's loop: schedule a step, launch it, update the scheduler with the step before.

Knows: the scheduler, the step executor, an inbox of commands and a function that sends reports.
Does not know: pipes, processes, HTTP or torch.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass

from voxfleet_inference.engine.messages import (
    Cancel,
    Command,
    EncodeVoice,
    Idle,
    Outcome,
    Park,
    Report,
    Resume,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
)
from voxfleet_inference.engine.model_backend import ModelBackend, SentenceTooLongError, SequenceCost
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import CommitResult, EngineCapacity, Limits, StepPlan
from voxfleet_inference.engine.steps.step_executor import Collected, InFlightStep, StepExecutor
from voxfleet_inference.engine.voice_encoder import VoiceEncoder


@dataclass(frozen=True, slots=True)
class _CostedSentence:
    """A sentence with what it needs, or with why it ends before it is submitted."""

    sentence: Sentence
    cost: SequenceCost | SequenceEnded


class Engine:
    """Decodes sentences until a Stop command; `enqueue` may be called from any thread."""

    def __init__(
        self, model: ModelBackend, limits: Limits, patch_seconds: float, report: Callable[[Report], None]
    ) -> None:
        self._model = model
        self._scheduler = BatchScheduler(limits, EngineCapacity(model.slots, model.kv_positions), patch_seconds)
        self._executor = StepExecutor(model)
        self._voices = VoiceEncoder(model, report)
        self._report = report
        self._inbox: queue.SimpleQueue[Command | _CostedSentence] = queue.SimpleQueue()
        self._commands = 0  # processed so far
        self._is_stopping = False
        self._handlers: dict[type, Callable[..., None]] = {
            _CostedSentence: self._submit,
            Cancel: self._cancel,
            Park: lambda command: self._scheduler.park(command.sequence_id),
            Resume: self._resume,
            EncodeVoice: self._voices.submit,
            Stop: self._stop,
        }

    def enqueue(self, command: Command) -> None:
        """Give the engine a command.

        The caller's thread estimates a sentence's cost, so that the loop need not. A cancelled sequence is skipped from
        now on, even by a step that was scheduled already.
        """
        if isinstance(command, Cancel):
            self._executor.drop(command.sequence_id)
        self._inbox.put(self._costed(command.sentence) if isinstance(command, Submit) else command)

    def run(self) -> None:
        """Run the loop until a Stop: while one step is in flight, the scheduler takes in the step before."""
        in_flight: InFlightStep | None = None
        while not self._is_stopping:
            launched = self._launch(self._scheduler.schedule(time.monotonic()))
            is_idle = launched is None and in_flight is None
            if in_flight is not None:
                self._update(in_flight)
            if is_idle:
                self._report(Idle(self._scheduler.occupancy(), self._commands))
            self._process_commands(after=launched, wait=is_idle)
            in_flight = launched
        self._executor.close()
        self._voices.close()

    def _launch(self, plan: StepPlan) -> InFlightStep | None:
        for ended in plan.expired:
            self._executor.drop(ended.sequence_id)
            self._report(ended)
            self._release_ended(ended.sequence_id)
        return None if plan.is_empty else self._executor.launch(plan)

    def _update(self, step: InFlightStep) -> None:
        collected = self._executor.collect(step)
        result = self._scheduler.update(collected.plan, collected.results, time.monotonic())
        self._report(self._step_done(collected, result))
        for ended in result.ended:
            self._report(ended)
        for sequence_id in result.released:
            self._executor.release(sequence_id)

    def _process_commands(self, *, after: InFlightStep | None, wait: bool) -> None:
        """Process the commands that are in the inbox once the step is launched.

        With `wait`, sleep until there is one or a deadline passes.
        """
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
            occupancy=self._scheduler.occupancy(),
            commands=self._commands,
            step=plan.step,
            rows=len(plan.rows),
            prefill_positions=0 if plan.chunk is None else plan.chunk.positions,
            underruns=result.underruns,
            least_slack_seconds=plan.least_slack_seconds,
            part_seconds=collected.part_seconds,
        )

    def _costed(self, sentence: Sentence) -> _CostedSentence:
        try:
            return _CostedSentence(sentence, self._model.estimate_cost(sentence))
        except SentenceTooLongError as error:
            ended = SequenceEnded(sentence.sequence_id, Outcome.TOO_LONG, str(error))
        except Exception as error:  # noqa: BLE001 - a sentence that cannot be tokenized ends alone
            ended = SequenceEnded(sentence.sequence_id, Outcome.FAILED, f"{type(error).__name__}: {error}")
        return _CostedSentence(sentence, ended)

    def _submit(self, costed: _CostedSentence) -> None:
        sentence, cost = costed.sentence, costed.cost
        if isinstance(cost, SequenceEnded):
            self._report(cost)
            return
        self._executor.register(sentence, cost)
        rejected = self._scheduler.submit(sentence.sequence_id, sentence.params, cost, time.monotonic())
        if rejected is not None:
            self._executor.release(sentence.sequence_id)
            self._report(rejected)

    def _cancel(self, command: Cancel) -> None:
        ended = self._scheduler.cancel(command.sequence_id)
        if ended is not None:
            self._report(ended)
        self._release_ended(command.sequence_id)

    def _resume(self, command: Resume) -> None:
        self._scheduler.resume(command.sequence_id, time.monotonic(), command.unread_patches)

    def _stop(self, _: Stop) -> None:
        self._is_stopping = True

    def _release_ended(self, sequence_id: int) -> None:
        """Free the slot of an ended sequence, unless a step in flight uses it: then the step's update frees it."""
        self._scheduler.release_ended([sequence_id])
        if not self._scheduler.knows(sequence_id):
            self._executor.release(sequence_id)
