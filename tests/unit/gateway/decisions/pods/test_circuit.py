"""A region whose pods all fail is left alone for a growing time, and one request at a time tries it."""

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.pods.circuit import (
    FAILURES_TO_OPEN,
    FIRST_OPEN_SECONDS,
    LONGEST_OPEN_SECONDS,
    RegionCircuit,
)


def opened() -> RegionCircuit:
    circuit = RegionCircuit()
    found = [circuit.record_failure(0.0, is_every_pod_failing=True) for _ in range(FAILURES_TO_OPEN)]
    assert found == [False] * (FAILURES_TO_OPEN - 1) + [True]
    return circuit


def test_failures_in_a_row_of_every_pod_open_it() -> None:
    assert opened().allowed(9, 0, 0.0) == 0
    partly = RegionCircuit()
    for _ in range(20):
        assert not partly.record_failure(0.0, is_every_pod_failing=False), "a pod is left that does not fail"
    assert partly.allowed(9, 3, 0.0) == 9


def test_a_pod_that_has_not_failed_keeps_it_from_being_opened_again() -> None:
    circuit = opened()
    assert not circuit.record_failure(FIRST_OPEN_SECONDS, is_every_pod_failing=False)
    assert circuit.record_failure(FIRST_OPEN_SECONDS, is_every_pod_failing=True)


def test_an_answer_in_between_counts_anew() -> None:
    circuit = RegionCircuit()
    for _ in range(5):
        for _ in range(FAILURES_TO_OPEN - 1):
            assert not circuit.record_failure(0.0, is_every_pod_failing=True)
        circuit.record_answer()


def test_after_its_time_one_request_tries_and_an_answer_closes_it() -> None:
    circuit, now = opened(), FIRST_OPEN_SECONDS
    assert circuit.allowed(9, 0, now) == 1
    assert circuit.allowed(0, 0, now) == 0
    assert circuit.allowed(9, 1, now) == 0, "one is on its way"
    circuit.record_answer()
    assert circuit.allowed(9, 1, now) == 9


def test_each_failed_trial_doubles_the_time() -> None:
    circuit, now, lengths = opened(), 0.0, []
    for _ in range(12):
        lengths.append(circuit.left_seconds(now))
        now += lengths[-1]
        assert circuit.record_failure(now, is_every_pod_failing=True)
    doubled = [min(LONGEST_OPEN_SECONDS, FIRST_OPEN_SECONDS * 2**number) for number in range(12)]
    assert lengths == doubled


@given(st.lists(st.tuples(st.sampled_from(["fail", "answer"]), st.floats(0, 100)), max_size=60), st.integers(0, 9))
def test_it_never_allows_more_than_is_free_and_always_allows_one_again(
    events: list[tuple[str, float]], free: int
) -> None:
    circuit, now = RegionCircuit(), 0.0
    for kind, seconds in events:
        now += seconds
        if kind == "fail":
            circuit.record_failure(now, is_every_pod_failing=True)
        else:
            circuit.record_answer()
        assert 0 <= circuit.allowed(free, 0, now) <= free
        assert circuit.left_seconds(now) <= LONGEST_OPEN_SECONDS
    assert circuit.allowed(free, 0, now + LONGEST_OPEN_SECONDS) >= min(1, free)
