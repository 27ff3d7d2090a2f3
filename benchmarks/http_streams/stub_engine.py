"""An engine without a model: it serves the pipe and sends each sentence 160 ms of noise when a GPU would.

Knows: the messages on the pipe, and the rows of a GPU's step. Does not know: HTTP.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from voxfleet_inference.engine.messages import (
    Cancel,
    Idle,
    Loaded,
    Occupancy,
    Outcome,
    Patch,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
)

PATCH_SECONDS, PATCH_SAMPLES, MODEL_RATE = 0.16, 7056, 44100
ROWS = 32


@dataclass(slots=True)
class OpenSentence:
    """An open sentence, and when its next patch is due."""

    sentence: Sentence
    due_at: float
    made: int = 0


class StubEngine:
    """Sends patches when they are due, until a Stop or the end of the pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: dict[int, OpenSentence] = {}
        self._commands = 0
        noise = np.random.default_rng(0)
        self._samples = noise.standard_normal(PATCH_SAMPLES, dtype=np.float32) * 0.1
        self._latents = noise.standard_normal((4, 64), dtype=np.float32)

    def run(self) -> None:
        """Serve the pipe until a Stop or its end."""
        self._connection.recv()
        self._connection.send(Loaded(MODEL_RATE, PATCH_SAMPLES, 1 / PATCH_SECONDS, 4, 64, 0.0, description="stub"))
        with contextlib.suppress(EOFError, OSError):
            while self._process_commands():
                self._step(time.monotonic())

    def _process_commands(self) -> bool:
        """Process commands until a patch is due; returns False after a Stop."""
        if not self._open:
            self._connection.send(Idle(Occupancy(0, 0), self._commands))
        pause = min((each.due_at for each in self._open.values()), default=time.monotonic() + 1) - time.monotonic()
        while self._connection.poll(max(0.0, pause)):
            self._commands += 1
            match self._connection.recv():
                case Submit(sentence):
                    self._open[sentence.sequence_id] = OpenSentence(sentence, time.monotonic())
                case Cancel(sequence_id):
                    self._open.pop(sequence_id, None)
                case Stop():
                    return False
            pause = 0.0
        return True

    def _step(self, now: float) -> None:
        due = sorted((each for each in self._open.values() if each.due_at <= now), key=lambda each: each.due_at)[:ROWS]
        if not due:
            return
        patches = tuple(Patch(each.sentence.sequence_id, self._latents, self._samples) for each in due)
        self._connection.send(StepDone(0.005, patches, Occupancy(len(self._open), 0), self._commands))
        for each in due:
            each.made += 1
            each.due_at += PATCH_SECONDS if each.made > 1 else 0.0  # one patch ahead of the player
            if each.made >= len(each.sentence.text):
                number = each.sentence.sequence_id
                self._connection.send(SequenceEnded(number, Outcome.FINISHED, patches=each.made, text_tokens=each.made))
                del self._open[number]
