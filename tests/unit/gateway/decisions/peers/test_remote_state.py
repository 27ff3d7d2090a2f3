"""What is known of a region behind a peer: ages, own requests, doubts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.peers.remote_state import RemoteReport, RemoteState
from voxfleet_gateway.errors import UpstreamFailure

AWAKE = RemoteReport(ready_pods=1, rows=8, free_requests=20)


def test_a_report_is_stale_after_three_intervals() -> None:
    state = RemoteState(interval_seconds=2.0)
    assert state.is_stale(0.0), "there is none"
    state.record_report(AWAKE, 10.0, 0, 0.1)
    assert not state.is_stale(16.0)
    assert state.is_stale(16.1)


def test_own_requests_count_until_a_report_contains_them() -> None:
    state = RemoteState(2.0, sent=5)
    state.record_report(AWAKE, 10.0, sent_before=5, hop_seconds=0.1)
    assert state.sent_since_report == 0
    state.sent += 3  # the last one while the next report was on its way
    state.record_report(AWAKE, 12.0, sent_before=7, hop_seconds=0.1)
    assert state.sent_since_report == 1


def test_own_requests_count_out_when_they_end_not_when_a_report_says_so() -> None:
    state = RemoteState(2.0)
    for _ in range(3):
        state.sent += 1
        state.open_requests += 1
    state.record_report(RemoteReport(ready_pods=1, rows=8, running=7, waiting=1), 10.0, 3, 0.1)
    assert (state.in_region, state.others) == (8, 5)
    state.record_ended()
    assert (state.in_region, state.others) == (7, 5)
    state.record_ended(has_row=False)  # an idle session has no row, before its end or after it
    assert state.in_region == 7
    state.record_report(RemoteReport(ready_pods=1, rows=8, running=6), 12.0, 3, 0.1)
    assert (state.in_region, state.others) == (6, 5)


def test_others_requests_return_to_their_usual_number_as_a_report_ages() -> None:
    state = RemoteState(2.0)
    for at in range(200):
        state.record_report(RemoteReport(ready_pods=1, rows=8, running=4), float(at), 0, 0.1)
    state.record_report(RemoteReport(ready_pods=1, rows=8, running=8), 200.0, 0, 0.1)
    fresh, old = state.forecast(200.0, 1.0), state.forecast(205.0, 1.0)
    assert (fresh.mean, fresh.variance) == (8, 0)
    assert old.known == 8
    assert old.mean == pytest.approx(4.2, abs=0.05), "what was usual, the newest report included"
    assert old.variance == pytest.approx(4.2, abs=0.1)


@pytest.mark.parametrize("failure", list(UpstreamFailure))
def test_a_failure_is_doubted_until_a_report_that_was_asked_for_later(failure: UpstreamFailure) -> None:
    state = RemoteState(2.0)
    state.record_report(AWAKE, 10.0, 0, 0.1)
    assert state.takes_requests
    state.record_failure(failure, 10.5)
    state.record_report(AWAKE, 10.4, 0, 0.1)  # its poll began before the failure
    assert not state.takes_requests
    state.record_report(AWAKE, 10.6, 0, 0.1)
    assert state.takes_requests


def test_a_report_that_says_nothing_new_changes_no_decision() -> None:
    state = RemoteState(2.0)
    assert state.record_report(RemoteReport(), 10.0, 0, 0.1), "it was unknown"
    assert not state.record_report(RemoteReport(), 12.0, 0, 0.2)
    assert state.record_report(AWAKE, 14.0, 0, 0.1)
    state.sent += 1
    assert state.record_report(AWAKE, 16.0, 1, 0.1), "what was sent is in it now"
    state.record_failure(UpstreamFailure.FULL, 16.5)
    assert state.record_report(AWAKE, 17.0, 1, 0.1), "it may be tried again"
    assert not state.record_report(AWAKE, 18.0, 1, 0.1)
    assert state.record_report(AWAKE, 60.0, 1, 0.1), "it was stale"


def test_reports_never_go_back() -> None:
    state = RemoteState(2.0)
    state.record_report(AWAKE, 12.0, 0, 0.1)
    state.record_report(RemoteReport(), 10.0, 0, 9.0)
    assert (state.report, state.hop_seconds) == (AWAKE, 0.1)


def test_a_wake_is_asked_for_once_in_a_while() -> None:
    state = RemoteState(2.0)
    assert not state.wants_wake(0.0), "a peer that does not report is asked for nothing"
    state.record_report(RemoteReport(), 10.0, 0, 0.1)
    assert state.wants_wake(10.0)
    state.wake_asked_seconds = 10.0
    assert not state.wants_wake(11.0)
    state.record_report(RemoteReport(), 20.0, 0, 0.1)
    assert state.wants_wake(20.5)
    for report in (AWAKE, RemoteReport(wake_elapsed_seconds=3.0)):
        state.record_report(report, 30.0, 0, 0.1)
        assert not state.wants_wake(30.0)
    state.record_report(RemoteReport(ready_pods=1, is_falling_asleep=True), 30.0, 0, 0.1)
    assert state.wants_wake(30.0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=30))
def test_no_order_of_sends_and_reports_makes_a_count_negative(steps: list[tuple[bool, int]]) -> None:
    state, marks = RemoteState(1.0), [0]
    for number, (is_report, count) in enumerate(steps):
        if is_report:
            state.record_report(AWAKE, float(number), marks[max(0, len(marks) - 1 - count)], 0.0)
        else:
            state.sent += count
            marks.append(state.sent)
        assert 0 <= state.sent_since_report <= state.sent
