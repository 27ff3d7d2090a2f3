"""A sentence that is said again while later ones of its text sit: they must not hold what it waits for for ever.

The readers here read in order and little ahead, as a listener's buffers do, and take a few steps to ask for another
attempt, as on the way through a pipe. Steps are over at once.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_inference.engine.messages import SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost
from voxfleet_inference.engine.scheduling.batch_scheduler import BatchScheduler
from voxfleet_inference.engine.scheduling.plans import EngineCapacity, Limits, RowResult, StepPlan

MAX_AHEAD = 3  # patches that wait to be heard before a sentence is told to stop
STEPS_TO_ASK_AGAIN = 3
ROOM = EngineCapacity(slots=4, kv_positions=60)


@dataclass
class Take:
    """One sentence: how long each attempt at it is; the last one is heard."""

    attempts: list[int]
    sequence_id: int = 0
    made: int = 0
    is_done: bool = False  # all of the attempt that counts is there


@dataclass
class Text:
    """One request, heard from its first sentence to its last, a patch at a time."""

    request_id: int
    takes: list[Take]
    heard: int = 0  # sentences
    unheard: dict[int, int] = field(default_factory=dict)  # patches by sentence


class World:
    def __init__(self, texts: list[Text]) -> None:
        self.batch = BatchScheduler(Limits(2, max_waiting=1000), ROOM, patch_seconds=0.16)
        self.texts, self.now, self.ids = texts, 0.0, itertools.count(1)
        self.rank_of: dict[int, tuple[Text, int]] = {}
        self.asking: deque[tuple[int, Text, int]] = deque()  # at which step which sentence is to be said again
        self.steps = 0
        for text in texts:
            for rank in range(len(text.takes)):
                self.submit(text, rank)

    def submit(self, text: Text, rank: int) -> None:
        take = text.takes[rank]
        take.sequence_id, take.made, text.unheard[rank] = next(self.ids), 0, 0
        self.rank_of[take.sequence_id] = (text, rank)
        cost = SequenceCost(prompt_positions=3, max_steps=max(take.attempts))
        params = SequenceParams(request_id=text.request_id, rank=rank, speed=4.0)
        assert self.batch.submit(take.sequence_id, params, cost, self.now) is None

    def step(self) -> None:
        while self.asking and self.asking[0][0] <= self.steps:
            self.submit(*self.asking.popleft()[1:])
        plan = self.batch.schedule(self.now)
        self.steps, self.now = self.steps + 1, self.now + 0.1
        self.update(plan)
        for text in self.texts:
            self.hear(text)

    def update(self, plan: StepPlan) -> None:
        results = []
        for sequence_id in plan.rows:
            text, rank = self.rank_of[sequence_id]
            take = text.takes[rank]
            take.made += 1
            text.unheard[rank] += 1
            results.append(RowResult(sequence_id, is_last=take.made == take.attempts[0]))
            if text.unheard[rank] >= MAX_AHEAD:
                self.batch.park(sequence_id)
        for ended in self.batch.update(plan, results, self.now).ended:
            self.end(*self.rank_of[ended.sequence_id])

    def end(self, text: Text, rank: int) -> None:
        """Said again if it went wrong and nobody has heard any of it."""
        take = text.takes[rank]
        if len(take.attempts) > 1 and rank > text.heard:
            del take.attempts[0]
            self.asking.append((self.steps + STEPS_TO_ASK_AGAIN, text, rank))
        else:
            take.is_done = True

    def hear(self, text: Text) -> None:
        if text.heard == len(text.takes):
            return
        take, rank = text.takes[text.heard], text.heard
        if text.unheard[rank]:
            text.unheard[rank] -= 1
            if text.unheard[rank] < MAX_AHEAD // 2 + 1:
                self.batch.resume(take.sequence_id, self.now)
        elif take.is_done:
            text.heard += 1


def heard_to_the_end(texts: list[list[list[int]]]) -> bool:
    made = [Text(1 + at, [Take(list(attempts)) for attempts in takes]) for at, takes in enumerate(texts)]
    world = World(made)
    patches = sum(sum(attempts) for takes in texts for attempts in takes)
    for _ in range(500 + 30 * patches):  # ten seconds without a step count as a class: nobody waits for long
        world.step()
        if all(text.heard == len(text.takes) for text in made):
            return True
    return False


def test_a_sentence_said_again_gets_its_memory_back_from_later_ones_that_nobody_reads_yet() -> None:
    """Of 60 positions the later ones hold 50, unread; the one before them needs 25, and they are heard after it."""
    assert heard_to_the_end([[[7], [2, 22], [22], [22]]])


SENTENCE = st.builds(lambda wrong, right: [*wrong, right], st.lists(st.integers(1, 3), max_size=2), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(SENTENCE, min_size=1, max_size=6), min_size=1, max_size=3))
def test_every_text_is_heard_to_its_end_however_often_its_sentences_are_said_again(
    texts: list[list[list[int]]],
) -> None:
    assert heard_to_the_end(texts)
