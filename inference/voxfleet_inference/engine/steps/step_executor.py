"""Carries out step plans on the model, and collects what the steps made.

One thread makes every call of the model, in the engine's order. A call that runs out of memory is repeated in halves,
so that only a sequence that does not fit alone fails. A dropped sequence is skipped by every step not yet launched.

Knows: a model by its protocol, and the registered rows.
Does not know: how sequences are chosen or divided, queues, pipes or torch.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from voxfleet_inference.engine.messages import Float32Array, Patch, Sentence
from voxfleet_inference.engine.model_backend import ModelBackend, Pending, SequenceCost, Slot
from voxfleet_inference.engine.scheduling.plans import RowResult, StepPlan
from voxfleet_inference.engine.steps.batch_division import BatchDivision
from voxfleet_inference.engine.steps.device_errors import is_fatal, is_out_of_memory
from voxfleet_inference.engine.steps.noise import step_noise
from voxfleet_inference.engine.steps.rows import Row

_logger: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Part:
    """Rows that were launched together."""

    pending: Pending
    rows: list[tuple[int, int]]  # (sequence id, number of the patch, from 1)


@dataclass(slots=True)
class _Launched:
    """A launched step: one part, or more after memory ran out."""

    started_at: float
    parts: list[_Part] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)  # sequence id -> why it has no patch
    part_seconds: dict[str, float] = field(default_factory=dict)  # host time: prefill, launch, wait


@dataclass(frozen=True, slots=True)
class InFlightStep:
    """A step that was given to the model's thread."""

    plan: StepPlan
    launched: Future[_Launched]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one step made."""

    plan: StepPlan
    step_seconds: float
    patches: tuple[Patch, ...]
    results: tuple[RowResult, ...]
    part_seconds: dict[str, float]


class StepExecutor:
    """Keeps the sentences, their noise, and the thread that calls the model."""

    def __init__(self, model: ModelBackend) -> None:
        self._model = model
        self._rows: dict[int, Row] = {}
        self._dropped: set[int] = set()
        self._lock = threading.Lock()
        self._steps = ThreadPoolExecutor(1, thread_name_prefix="steps")
        self._collected_at = 0.0
        self._division = BatchDivision()

    def register(self, sentence: Sentence, cost: SequenceCost) -> None:
        """Keep a sentence from before its admission until `release`."""
        self._rows[sentence.sequence_id] = Row(sentence, cost)

    def drop(self, sequence_id: int) -> None:
        """Skip this sequence from now on; may be called from any thread."""
        with self._lock:
            self._dropped.add(sequence_id)

    def release(self, sequence_id: int) -> None:
        """Drop a sequence that no step in flight uses, and release its slot before the next step."""
        row = self._rows.pop(sequence_id, None)
        with self._lock:
            self._dropped.discard(sequence_id)
        if row is not None and row.slot_index is not None:
            self._steps.submit(self._model.release, row.slot_index)

    def launch(self, plan: StepPlan) -> InFlightStep:
        """Give a step to the model's thread; returns at once."""
        return InFlightStep(plan, self._steps.submit(self._launch, plan))

    @staticmethod
    def wait_until_launched(step: InFlightStep) -> None:
        """Wait until the device has the step queued; on a CPU, which has no queue, until the step is done."""
        step.launched.exception()

    def collect(self, step: InFlightStep) -> Collected:
        """Wait for a step and return what it made.

        Raises:
            Exception: the device failed; no later call can succeed.
        """
        launched = step.launched.result()
        waiting_since = time.perf_counter()
        patches: list[Patch] = []
        results: list[RowResult] = []
        for part in launched.parts:
            self._collect_part(part, launched, patches, results)
        now = time.perf_counter()
        launched.part_seconds["wait"] = now - waiting_since
        # The device works on one step at a time: this one began when it was launched, or when the one before was done.
        step_seconds = now - max(launched.started_at, self._collected_at)
        self._collected_at = now
        results += [RowResult(each, failure=message) for each, message in launched.failures.items()]
        return Collected(step.plan, step_seconds, tuple(patches), tuple(results), launched.part_seconds)

    def close(self) -> None:
        """End the thread."""
        self._steps.shutdown(wait=True, cancel_futures=True)

    def _launch(self, plan: StepPlan) -> _Launched:
        launched = _Launched(time.perf_counter())
        if plan.admitted is not None:
            self._try([plan.admitted.sequence_id], partial(self._admit, plan.admitted.slot), launched)
        if plan.chunk is not None:
            # is_last: _prefill halves its positions itself, and has tried with a single one
            self._try([plan.chunk.sequence_id], partial(self._prefill, plan.chunk.positions), launched, is_last=True)
        launched.part_seconds["prefill"] = time.perf_counter() - launched.started_at
        self._step(plan, launched)
        launched.part_seconds["launch"] = time.perf_counter() - launched.started_at - launched.part_seconds["prefill"]
        return launched

    def _admit(self, slot: Slot, rows: list[Row]) -> None:
        rows[0].slot_index = slot.index
        self._model.admit(slot, rows[0].sentence)

    def _prefill(self, positions: int, rows: list[Row]) -> None:
        """Read positions of a prompt; if memory runs out, in halves, down to a single position."""
        try:
            self._model.prefill(rows[0].slot, positions)
        except Exception as error:
            if positions == 1 or not is_out_of_memory(error):
                raise
            self._free_memory(f"reading {positions} positions", error)
            for half in (positions // 2, positions - positions // 2):
                self._prefill(half, rows)

    def _step(self, plan: StepPlan, launched: _Launched) -> None:
        active = [each for each in plan.rows if self._is_active(each)]
        tapes: dict[int, Float32Array] = {}  # sequence id -> noise [patch_size, feat_dim]
        for sequence_id in active:  # one by one: a tape that is too short fails its sequence alone
            self._try([sequence_id], lambda rows: _read_tape(rows[0], tapes), launched)
        stepping = [each for each in active if each not in launched.failures]
        for rows_together in self._division.next_step(stepping):
            self._try(rows_together, lambda rows: self._step_rows(rows, tapes, launched), launched)

    def _step_rows(self, rows: list[Row], tapes: dict[int, Float32Array], launched: _Launched) -> None:
        keys = [row.noise_key for row in rows]
        noise = step_noise(keys, self._model.patch_size, self._model.feat_dim)  # [rows, patch_size, feat_dim]
        for at, row in enumerate(rows):
            noise[at] = tapes.get(row.sentence.sequence_id, noise[at])
        part = _Part(self._model.step([row.slot for row in rows], noise), [])
        launched.parts.append(part)
        for row in rows:
            row.patches_launched += 1
            part.rows.append((row.sentence.sequence_id, row.patches_launched))

    def _try(
        self, sequence_ids: list[int], work: Callable[[list[Row]], None], launched: _Launched, *, is_last: bool = False
    ) -> None:
        """Do `work` for the sequences that are active; an error fails them alone, unless the device failed.

        Work that ran out of memory is repeated: in two halves, or once more for a single sequence.
        """
        active = [each for each in sequence_ids if self._is_active(each)]
        if not active:
            return
        try:
            work([self._rows[each] for each in active])
        except Exception as error:
            if is_out_of_memory(error) and not is_last:
                self._free_memory(f"{len(active)} rows", error)
                for part in self._division.after_memory_ran_out(active):
                    self._try(part, work, launched, is_last=len(active) == 1)
            elif is_fatal(error):
                raise
            else:
                launched.failures |= self._failures(active, error)

    def _free_memory(self, work: str, error: Exception) -> None:
        _logger.warning("out of memory with %s, trying again with less: %s", work, error)
        self._model.free_memory()

    def _failures(self, sequence_ids: list[int], error: Exception) -> dict[int, str]:
        for each in sequence_ids:
            self.drop(each)
        return dict.fromkeys(sequence_ids, f"{type(error).__name__}: {error}")

    def _collect_part(self, part: _Part, launched: _Launched, patches: list[Patch], results: list[RowResult]) -> None:
        try:
            output = part.pending.collect()
        except Exception as error:
            if is_fatal(error):
                raise
            launched.failures |= self._failures([sequence_id for sequence_id, _ in part.rows], error)
            return
        for at, (sequence_id, number) in enumerate(part.rows):
            if self._is_active(sequence_id):
                is_last, next_is_last = bool(output.is_last[at]), bool(output.next_is_last[at])
                is_truncated = not is_last and number == self._rows[sequence_id].cost.max_steps
                patches.append(Patch(sequence_id, output.latents[at], output.samples[at], is_truncated))
                results.append(RowResult(sequence_id, is_last, next_is_last))

    def _is_active(self, sequence_id: int) -> bool:
        with self._lock:
            return sequence_id not in self._dropped


def _read_tape(row: Row, tapes: dict[int, Float32Array]) -> None:
    if (noise := row.noise_from_tape()) is not None:
        tapes[row.sentence.sequence_id] = noise
