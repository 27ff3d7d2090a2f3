"""Launches planned steps over the model and collects what they made.

Knows: a model by its protocol, the decoding state of each sequence, its noise, and one worker thread that takes
steps in order. A sequence that has ended or was dropped is skipped by the steps still in flight, at once.
Does not know: queues, rows, pipes or clocks other than how long a step took.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from voxfleet_inference.engine.batch_scheduler import Plan, RowResult
from voxfleet_inference.engine.messages import Float32Array, Patch, Sentence
from voxfleet_inference.engine.noise import patch_noise
from voxfleet_inference.engine.sequences import Outcome


class Decoding(Protocol):
    """What a model keeps of one sentence between steps."""

    @property
    def max_steps(self) -> int:
        """The most patches that this sentence may take."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One patch: latents [patch_size, feat_dim], samples [patch_samples], and whether it is the last."""

    latents: Float32Array
    samples: Float32Array
    is_last: bool


class SpeechModel(Protocol):
    """The model as the engine sees it."""

    @property
    def patch_size(self) -> int:
        """Latent frames per patch."""

    @property
    def feat_dim(self) -> int:
        """Values per latent frame."""

    def prefill(self, sentence: Sentence) -> Decoding:
        """Read the text and the voice prompt."""

    def step(self, decoding: Any, noise: Float32Array) -> StepOutput:
        """Make the next patch from noise [patch_size, feat_dim]; `decoding` is what prefill gave."""

    def encode_voice(self, samples: Float32Array, sample_rate: int) -> Float32Array:
        """Latents [patches, patch_size, feat_dim] of a mono recording."""


class TapeTooShortError(Exception):
    """A noise tape ended before its sentence."""


@dataclass(slots=True)
class _Row:
    sentence: Sentence
    decoding: Decoding
    steps_done: int = 0
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What one step made."""

    step_seconds: float
    patches: tuple[Patch, ...]
    results: tuple[RowResult, ...]


Ticket = Future[Collected]


class Runner:
    """Takes the steps of a plan, row by row, on a thread of its own."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._sentences: dict[int, Sentence] = {}
        self._rows: dict[int, _Row] = {}
        self._dropped: set[int] = set()
        self._lock = threading.Lock()
        self._steps = ThreadPoolExecutor(1, thread_name_prefix="steps")

    def register(self, sentence: Sentence) -> None:
        """Keep a sentence until the step that prefills it."""
        self._sentences[sentence.sequence_id] = sentence

    def drop(self, sequence_id: int) -> None:
        """Skip this sequence from now on, also in steps already launched; callable from any thread."""
        with self._lock:
            self._dropped.add(sequence_id)

    def release(self, sequence_id: int) -> None:
        """Forget a sequence that no step in flight names."""
        self._sentences.pop(sequence_id, None)
        self._rows.pop(sequence_id, None)
        with self._lock:
            self._dropped.discard(sequence_id)

    def patches_made(self, sequence_id: int) -> int:
        """How many patches this sequence has made."""
        row = self._rows.get(sequence_id)
        return row.steps_done if row is not None else 0

    def launch(self, plan: Plan) -> Ticket:
        """Start a step; returns at once."""
        return self._steps.submit(self._take, plan)

    @staticmethod
    def collect(ticket: Ticket) -> Collected:
        """Wait for a step."""
        return ticket.result()

    def close(self) -> None:
        """End the thread."""
        self._steps.shutdown(wait=True, cancel_futures=True)

    def _take(self, plan: Plan) -> Collected:
        started = time.perf_counter()
        patches: list[Patch] = []
        results = tuple(self._take_row(sequence_id, patches) for sequence_id in plan.rows)
        return Collected(time.perf_counter() - started, tuple(patches), results)

    def _take_row(self, sequence_id: int, patches: list[Patch]) -> RowResult:
        if self._is_over(sequence_id):
            return RowResult(sequence_id)
        try:
            return self._step_row(sequence_id, patches)
        except Exception as error:
            if _is_fatal(error):
                raise
            self.drop(sequence_id)  # one sentence's failure must not end the others
            return RowResult(sequence_id, Outcome.FAILED, f"{type(error).__name__}: {error}")

    def _step_row(self, sequence_id: int, patches: list[Patch]) -> RowResult:
        row = self._row(sequence_id)
        output = self._model.step(row.decoding, self._noise(row))
        row.steps_done += 1
        patches.append(Patch(sequence_id, output.latents, output.samples))
        row.has_ended = output.is_last or row.steps_done >= _bound(row)
        return RowResult(sequence_id, Outcome.FINISHED if row.has_ended else None)

    def _row(self, sequence_id: int) -> _Row:
        if sequence_id not in self._rows:
            sentence = self._sentences[sequence_id]
            self._rows[sequence_id] = _Row(sentence, self._model.prefill(sentence))
        return self._rows[sequence_id]

    def _is_over(self, sequence_id: int) -> bool:
        with self._lock:
            if sequence_id in self._dropped:
                return True
        row = self._rows.get(sequence_id)
        return row is not None and row.has_ended

    def _noise(self, row: _Row) -> Float32Array:
        sentence, step = row.sentence, row.steps_done
        if sentence.noise_tape is None:
            shape = (self._model.patch_size, self._model.feat_dim)
            return patch_noise(sentence.seed, sentence.sentence_index, sentence.attempt, step, *shape)
        if step >= len(sentence.noise_tape):
            raise TapeTooShortError(f"the noise tape has {len(sentence.noise_tape)} steps; step {step + 1} is needed")
        tape: Float32Array = sentence.noise_tape[step]
        return tape


def _bound(row: _Row) -> int:
    asked = row.sentence.max_steps
    return row.decoding.max_steps if asked is None else min(asked, row.decoding.max_steps)


def _is_fatal(error: Exception) -> bool:
    """After an error of the device itself every later call fails too: the engine has to start anew."""
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
