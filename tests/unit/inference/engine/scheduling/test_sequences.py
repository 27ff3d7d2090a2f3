from __future__ import annotations

import itertools

import pytest
from voxfleet_inference.engine.messages import SequenceParams
from voxfleet_inference.engine.model_backend import SequenceCost
from voxfleet_inference.engine.scheduling.playback import Playback
from voxfleet_inference.engine.scheduling.sequences import Request, Sequence
from voxfleet_inference.engine.scheduling.states import HAS_SLOT, TRANSITIONS, Event, State, TransitionError


def a_sequence(state: State) -> Sequence:
    return Sequence(
        sequence_id=7,
        params=SequenceParams(request_id=1),
        cost=SequenceCost(3, 5),
        request=Request(1, Playback(0.16)),
        text_order=(0, 7),
        arrival=1,
        served_at=0.0,
        state=state,
        last_patch=5,
    )


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_a_sequence_follows_the_table_and_nothing_else(state: State, event: Event) -> None:
    sequence = a_sequence(state)
    if (state, event) in TRANSITIONS:
        sequence.apply(event)
        assert sequence.state is TRANSITIONS[state, event]
        return
    with pytest.raises(TransitionError, match=f"sequence 7 is {state.value}"):
        sequence.apply(event)


@pytest.mark.parametrize("state", [state for state in State if state not in {State.GONE, State.LEAVING}])
def test_every_unended_state_can_end(state: State) -> None:
    assert (state, Event.END) in TRANSITIONS


def test_nothing_leaves_gone() -> None:
    assert not any(state is State.GONE for state, _ in TRANSITIONS)


def test_a_slot_is_held_from_admission_until_the_last_step_is_collected() -> None:
    gains = {target for (state, _), target in TRANSITIONS.items() if state is State.WAITING} & HAS_SLOT
    losses = {state for (state, _), target in TRANSITIONS.items() if target is State.GONE} & HAS_SLOT
    assert gains == {State.PREFILLING}
    assert losses == {State.LEAVING}


@pytest.mark.parametrize("planned", range(6))
def test_there_is_work_until_its_last_patch_is_planned(planned: int) -> None:
    sequence = a_sequence(State.RUNNING)
    sequence.patches_planned = planned
    assert sequence.has_work == (planned < 5)
