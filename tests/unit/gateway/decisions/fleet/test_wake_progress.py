"""The parts of a wake that is under way."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.fleet.wake_progress import ENDED_AT, PARTS, wake_parts
from voxfleet_gateway.regions import WakeEntry, WakeSeconds

BEGUN = datetime(2026, 11, 30, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def test_nothing_is_known_before_the_operator_and_the_pods_say_something() -> None:
    parts = wake_parts(None, None, [])
    assert [part.state for part in parts] == ["current", *["pending"] * 5]
    assert {part.expected_seconds for part in parts} == {None}


def test_the_operator_s_times_are_the_lengths_of_what_has_ended() -> None:
    last = WakeSeconds(node=24.0, weights=11.0)
    parts = wake_parts(WakeEntry(started_at=BEGUN, scheduled_at=at(3), sandbox_at=at(3.5)), last, [])
    assert [(part.name, part.seconds) for part in parts if part.state == "done"] == [("node", 3.0), ("container", 0.5)]
    assert next(part.name for part in parts if part.state == "current") == "image"
    assert {part.name: part.expected_seconds for part in parts if part.expected_seconds} == {"node": 24, "weights": 11}


def test_pods_say_what_the_operator_does_not() -> None:
    parts = wake_parts(WakeEntry(started_at=BEGUN), None, ["address", "warming"], loaded_seconds=4.2)
    assert [part.state for part in parts] == ["done"] * 5 + ["current"]
    assert [part.seconds for part in parts] == [None, None, None, None, 4.2, None]


@given(st.lists(st.sampled_from(sorted(ENDED_AT))), st.integers(0, 3))
def test_parts_end_in_their_order(stages: list[str], milestones: int) -> None:
    names = ("scheduled_at", "sandbox_at", "container_at")[:milestones]
    wake = WakeEntry(started_at=BEGUN, **{name: at(number) for number, name in enumerate(names)})
    states = [part.state for part in wake_parts(wake, None, stages)]  # type: ignore[arg-type]
    assert states == sorted(states, key=["done", "current", "pending"].index)
    assert len(states) == len(PARTS)
    assert states.count("current") <= 1
