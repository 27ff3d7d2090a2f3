from __future__ import annotations

import itertools

import pytest
from voxfleet_inference.engine.sequences import (
    HOLDS_A_ROW,
    TRANSITIONS,
    Event,
    Sequence,
    State,
    TransitionError,
)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_a_sequence_follows_the_table_and_nothing_else(state: State, event: Event) -> None:
    sequence = Sequence(7, rank=0, arrival=1, state=state)
    if (state, event) in TRANSITIONS:
        assert sequence.after(event).state is TRANSITIONS[state, event]
        return
    with pytest.raises(TransitionError, match=f"sequence 7 is {state.value}"):
        sequence.after(event)


@pytest.mark.parametrize("state", [state for state in State if state not in {State.GONE, State.LEAVING}])
def test_every_living_state_can_end(state: State) -> None:
    assert (state, Event.END) in TRANSITIONS


def test_nothing_leaves_gone() -> None:
    assert not any(state is State.GONE for state, _ in TRANSITIONS)


def test_a_row_is_held_from_admission_until_the_last_step_is_collected() -> None:
    gains = {target for (state, _), target in TRANSITIONS.items() if state is State.WAITING} & HOLDS_A_ROW
    losses = {state for (state, _), target in TRANSITIONS.items() if target is State.GONE} & HOLDS_A_ROW
    assert gains == {State.RUNNING}
    assert losses == {State.LEAVING}
