"""For how long an engine has owed a step: never too much, and never nothing while it hangs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.engine.sequences import Wish
from voxfleet_inference.server.step_watch import StepWatch

MOMENTS = st.floats(0, 1000)
WISHES = st.lists(st.builds(Wish, MOMENTS, st.integers(1, 20)), max_size=8)


def test_a_newer_wish_is_owed_from_its_own_moment() -> None:
    watch = StepWatch(5.0, 0.0)
    assert watch.owed_seconds(100.0, []) == 0.0
    assert watch.owed_seconds(100.0, [Wish(98.0, 1)]) == 2.0
    watch.stepped(99.0)
    assert watch.owed_seconds(100.0, [Wish(98.0, 1)]) == 1.0


def test_an_engine_at_rest_owes_only_what_it_has_not_heard_of() -> None:
    watch = StepWatch(5.0, 0.0)
    watch.rested(50.0, commands=3)
    assert watch.owed_seconds(100.0, [Wish(10.0, 1), Wish(49.0, 3)]) == 0.0
    assert watch.owed_seconds(100.0, [Wish(49.9, 4)]) == 50.0, "sent before the rest was told, obeyed after it"
    watch.stepped(60.0)
    assert watch.owed_seconds(100.0, [Wish(10.0, 1)]) == 40.0, "it works: a step or a rest must follow"


def test_another_engine_counts_its_commands_anew() -> None:
    watch = StepWatch(5.0, 0.0)
    watch.rested(50.0, commands=300)
    watch.begin(60.0)
    assert watch.owed_seconds(100.0, [Wish(70.0, 1)]) == 30.0


def test_whoever_was_stopped_himself_accuses_nobody() -> None:
    watch = StepWatch(5.0, 0.0)
    for second in range(1, 11):
        watch.look(float(second))
    watch.stepped(10.0)
    watch.look(3600.0)
    assert watch.owed_seconds(3600.0, [Wish(9.0, 1)]) == 0.0
    watch.look(3601.0)
    assert watch.owed_seconds(3601.0, [Wish(9.0, 1)]) == 1.0


@pytest.mark.parametrize(("allowed", "seconds"), [(5.0, 0.625), (60.0, 1.0), (0.4, 0.05)])
def test_who_looks_as_told_is_never_thought_asleep(allowed: float, seconds: float) -> None:
    watch = StepWatch(allowed, 0.0)
    assert watch.look_seconds == pytest.approx(seconds)
    for look in range(1, 100):
        watch.look(look * watch.look_seconds)
    now = 99 * watch.look_seconds
    assert watch.owed_seconds(now, [Wish(0.0, 1)]) == now


@given(WISHES, MOMENTS, MOMENTS, st.integers(0, 20))
def test_nothing_is_owed_for_longer_than_anybody_waits_or_since_the_last_sign(
    wishes: list[Wish], began: float, reported: float, commands: int
) -> None:
    now = 2000.0
    watch = StepWatch(5.0, began)
    watch.rested(reported, commands)
    owed = watch.owed_seconds(now, wishes)
    unheard = [wish for wish in wishes if wish.command > commands]
    assert (owed > 0) == bool(unheard)
    assert all(owed <= now - max(reported, began) for _ in unheard)
    assert owed <= max((now - wish.since for wish in unheard), default=0.0)
