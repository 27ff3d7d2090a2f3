"""A sentence that is retried while later ones of its text have slots: it must get KV positions in the end.

The clients here read in order and little ahead, as real buffers do, and submit a retry a few steps late, as through a
pipe. Steps are done at once.
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

MAX_AHEAD = 3  # unplayed patches with which a sequence is parked
STEPS_TO_RETRY = 3
ENGINE_CAPACITY = EngineCapacity(slots=4, kv_positions=60)


@dataclass
class Run:
    """One sentence: the patches of each attempt; the last attempt is played."""

    attempts: list[int]
    sequence_id: int = 0
    made: int = 0
    is_done: bool = False  # the last attempt has ended


@dataclass
class Text:
    """One request, played from its first sentence to its last, a patch at a time."""

    request_id: int
    runs: list[Run]
    played: int = 0  # sentences
    unplayed: dict[int, int] = field(default_factory=dict)  # patches by sentence


class World:
    def __init__(self, texts: list[Text]) -> None:
        self.batch = BatchScheduler(Limits(2, max_waiting=1000), ENGINE_CAPACITY, patch_seconds=0.16)
        self.texts, self.now, self.ids = texts, 0.0, itertools.count(1)
        self.rank_of: dict[int, tuple[Text, int]] = {}
        self.retries: deque[tuple[int, Text, int]] = deque()  # (step at which to submit it, request, rank)
        self.steps = 0
        for text in texts:
            for rank in range(len(text.runs)):
                self.submit(text, rank)

    def submit(self, text: Text, rank: int) -> None:
        run = text.runs[rank]
        run.sequence_id, run.made, text.unplayed[rank] = next(self.ids), 0, 0
        self.rank_of[run.sequence_id] = (text, rank)
        cost = SequenceCost(prompt_positions=3, max_steps=max(run.attempts))
        params = SequenceParams(request_id=text.request_id, rank=rank, speed=4.0)
        assert self.batch.submit(run.sequence_id, params, cost, self.now) is None

    def step(self) -> None:
        while self.retries and self.retries[0][0] <= self.steps:
            self.submit(*self.retries.popleft()[1:])
        plan = self.batch.schedule(self.now)
        self.steps, self.now = self.steps + 1, self.now + 0.1
        self.update(plan)
        for text in self.texts:
            self.play(text)

    def update(self, plan: StepPlan) -> None:
        results = []
        for sequence_id in plan.rows:
            text, rank = self.rank_of[sequence_id]
            run = text.runs[rank]
            run.made += 1
            text.unplayed[rank] += 1
            results.append(RowResult(sequence_id, is_last=run.made == run.attempts[0]))
            if text.unplayed[rank] >= MAX_AHEAD:
                self.batch.park(sequence_id)
        for ended in self.batch.update(plan, results, self.now).ended:
            self.end(*self.rank_of[ended.sequence_id])

    def end(self, text: Text, rank: int) -> None:
        """Retry the sentence if it has another attempt and none of it was played."""
        run = text.runs[rank]
        if len(run.attempts) > 1 and rank > text.played:
            del run.attempts[0]
            self.retries.append((self.steps + STEPS_TO_RETRY, text, rank))
        else:
            run.is_done = True

    def play(self, text: Text) -> None:
        if text.played == len(text.runs):
            return
        run, rank = text.runs[text.played], text.played
        if text.unplayed[rank]:
            text.unplayed[rank] -= 1
            if text.unplayed[rank] < MAX_AHEAD // 2 + 1:
                self.batch.resume(run.sequence_id, self.now)
        elif run.is_done:
            text.played += 1


def plays_to_the_end(texts: list[list[list[int]]]) -> bool:
    made = [Text(1 + at, [Run(list(attempts)) for attempts in runs]) for at, runs in enumerate(texts)]
    world = World(made)
    patches = sum(sum(attempts) for runs in texts for attempts in runs)
    for _ in range(500 + 30 * patches):  # ten seconds without a step count as a priority, so no wait is long
        world.step()
        if all(text.played == len(text.runs) for text in made):
            return True
    return False


def test_a_retry_gets_memory_back_from_later_unread_sentences() -> None:
    """Of 60 positions later sentences hold 50, unread; the one before them needs 25 and is played first."""
    assert plays_to_the_end([[[7], [2, 22], [22], [22]]])


SENTENCE = st.builds(
    lambda runaways, good: [*runaways, good], st.lists(st.integers(1, 3), max_size=2), st.integers(1, 40)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(SENTENCE, min_size=1, max_size=6), min_size=1, max_size=3))
def test_every_text_is_played_to_its_end_under_any_retries(
    texts: list[list[list[int]]],
) -> None:
    assert plays_to_the_end(texts)
