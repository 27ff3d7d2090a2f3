"""Phases, draining, and the state and message that follow from them."""

from __future__ import annotations

import itertools

import pytest
from voxfleet_inference.server.lifecycle import NEXT_PHASES, Lifecycle, Phase


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Phase, Phase)))
def test_phases_follow_the_table(before: Phase, after: Phase) -> None:
    entered = Lifecycle(before).entered(after, "why")
    assert entered.phase is (after if after in NEXT_PHASES[before] else before)


def test_only_the_phase_ready_without_draining_is_ready() -> None:
    assert [phase for phase in Phase if Lifecycle(phase).is_ready] == [Phase.READY]
    draining = Lifecycle(Phase.READY).draining(enabled=True)
    assert (draining.state, draining.is_ready) == ("draining", False)
    assert draining.draining(enabled=False).is_ready


def test_a_failure_overrides_draining_and_has_its_message() -> None:
    failed = Lifecycle().draining(enabled=True).entered(Phase.FAILED, "model.safetensors is missing")
    assert (failed.state, failed.message) == ("failed", "model.safetensors is missing")


def test_every_state_but_ready_has_a_message() -> None:
    assert Lifecycle(Phase.READY).message == ""
    for lifecycle in (Lifecycle(), Lifecycle(Phase.WARMING), Lifecycle(Phase.READY, is_draining=True)):
        assert lifecycle.message
