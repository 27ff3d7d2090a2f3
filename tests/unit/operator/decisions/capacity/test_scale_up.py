"""Words of autoscalers: which events count, that the newest word wins, and that a repeated one keeps its time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.capacity.scale_up import (
    LONGEST_MESSAGE,
    WORDS,
    AutoscalerEvent,
    ScaleUpState,
    Word,
    scale_up_after,
)

COMES = AutoscalerEvent("Nominated", "karpenter", 10, 10, "Pod should schedule on: nodeclaim/gpu-spot-x")
NONE = AutoscalerEvent("FailedScheduling", "karpenter", 20, 20, "no instance type has capacity")


@pytest.mark.parametrize(("word", "source"), [(word, source) for word in WORDS for source in word.sources], ids=str)
def test_every_word_of_the_table_counts(word: Word, source: str) -> None:
    said = scale_up_after(None, AutoscalerEvent(word.reason, source, 1, 2, "m"))
    assert said == ScaleUpState(word.is_coming, 1, source, "m")


@pytest.mark.parametrize(
    ("reason", "source"),
    [("FailedScheduling", "default-scheduler"), ("FailedScheduling", "volcano"), ("Evicted", "karpenter"), ("", "")],
)
def test_any_other_event_changes_nothing(reason: str, source: str) -> None:
    known = scale_up_after(None, COMES)
    for before in (None, known):
        assert scale_up_after(before, AutoscalerEvent(reason, source, 99, 99)) is before


def test_a_repeated_promise_does_not_start_anew() -> None:
    """Karpenter nominates again for as long as a machine is refused."""
    first = scale_up_after(None, COMES)
    again = scale_up_after(first, replace(COMES, first_at=50, last_at=70, message="another claim"))
    assert again is first


def test_the_newest_word_wins_and_an_older_one_of_a_listing_does_not() -> None:
    refused = scale_up_after(scale_up_after(None, COMES), NONE)
    assert refused == ScaleUpState(is_coming=False, since=20, autoscaler="karpenter", message=NONE.message)
    assert scale_up_after(refused, COMES) is refused
    comes_again = scale_up_after(refused, replace(COMES, last_at=30))
    assert comes_again is not None
    assert (comes_again.is_coming, comes_again.since) == (True, 20), "after the refusal; exactly when is not recorded"


def test_a_long_message_is_cut() -> None:
    said = scale_up_after(None, replace(NONE, message="x" * 5000))
    assert said is not None
    assert len(said.message) == LONGEST_MESSAGE


instants = st.integers(0, 50)


@given(st.lists(st.tuples(st.booleans(), instants, st.integers(0, 20)), max_size=12))
def test_property_the_last_word_counts_from_its_first_time_on(words: list[tuple[bool, int, int]]) -> None:
    """Events in the order of their newest occurrence, as a watch delivers them."""
    events = [
        replace(COMES if is_coming else NONE, first_at=at, last_at=at + lasting) for is_coming, at, lasting in words
    ]
    said: ScaleUpState | None = None
    for event in sorted(events, key=lambda each: each.last_at):
        before, said = said, scale_up_after(said, event)
        assert said is not None
        assert said.is_coming == (event.reason == COMES.reason)
        assert said.since <= event.last_at
        assert before is None or said.since >= before.since
        assert scale_up_after(said, event) is said, "an event that arrives twice changes nothing"
