from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.admission.callers import ANONYMOUS, Caller
from voxfleet_inference.admission.request_limiter import Bounds, Demand, LimitScope, Permit, Rejection, RequestLimiter

ADA, BEN = Caller("ada"), Caller("ben")


def admitted(limiter: RequestLimiter, caller: Caller, seconds: float, now: float = 0.0) -> Permit:
    permit = limiter.admit(caller, seconds, now)
    assert isinstance(permit, Permit), permit
    return permit


def test_the_server_is_full_by_requests() -> None:
    limiter = RequestLimiter(Bounds(2, 100.0))
    first = admitted(limiter, ANONYMOUS, 1.0)
    admitted(limiter, ANONYMOUS, 1.0)
    refusal = limiter.admit(ANONYMOUS, 1.0, 0.0)
    assert refusal == Rejection(LimitScope.SERVER, "the server is full: 2 requests are open, 2 are taken")
    limiter.leave(first)
    admitted(limiter, ANONYMOUS, 1.0)


def test_the_server_is_full_by_audio_until_enough_has_been_spoken() -> None:
    limiter = RequestLimiter(Bounds(10, 100.0))
    long = admitted(limiter, ANONYMOUS, 90.0)
    refusal = limiter.admit(ANONYMOUS, 20.0, 0.0)
    assert isinstance(refusal, Rejection)
    assert refusal.full is LimitScope.SERVER
    assert "about 90 s of audio are still to be spoken and this would be 20 s more, 100 s are taken" in refusal.message
    limiter.spoken(long, 15.0)
    admitted(limiter, ANONYMOUS, 20.0)
    limiter.expect(long, 5.0)
    assert limiter.demand == Demand(2, pytest.approx(100.0))


def test_an_idle_server_takes_a_text_of_any_length() -> None:
    admitted(RequestLimiter(Bounds(1, 10.0)), ADA, 1000.0)


def refused(limiter: RequestLimiter, caller: Caller, now: float = 0.0) -> LimitScope:
    refusal = limiter.admit(caller, 1.0, now)
    assert isinstance(refusal, Rejection)
    return refusal.full


def test_a_tenant_has_its_share_and_others_have_the_rest() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.5))
    admitted(limiter, BEN, 1.0)
    admitted(limiter, ADA, 1.0)
    admitted(limiter, ADA, 1.0)
    refusal = limiter.admit(ADA, 1.0, 0.0)
    assert refusal == Rejection(
        LimitScope.TENANT, "your share of the server is full, and others use it: 2 requests are open, 2 are taken"
    )
    admitted(limiter, BEN, 1.0)
    assert refused(limiter, ADA) is LimitScope.SERVER


def test_a_tenant_who_is_alone_may_fill_the_server() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.5))
    for _ in range(4):
        admitted(limiter, ADA, 1.0)
    assert refused(limiter, ADA) is LimitScope.SERVER
    assert refused(limiter, ADA, now=1.0) is LimitScope.SERVER, "its own refusal is no company"


def test_who_comes_second_is_turned_away_once() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.5))
    adas = [admitted(limiter, ADA, 1.0) for _ in range(4)]
    assert refused(limiter, BEN, now=10.0) is LimitScope.SERVER
    limiter.leave(adas.pop())
    assert refused(limiter, ADA, now=11.0) is LimitScope.TENANT, "the free place is kept for who was turned away"
    admitted(limiter, BEN, 1.0, now=70.0)
    assert refused(limiter, ADA, now=200.0) is LimitScope.SERVER
    limiter.leave(adas.pop())
    assert refused(limiter, ADA, now=200.0) is LimitScope.TENANT, "and he is here now"


def test_who_does_not_come_back_is_forgotten() -> None:
    limiter = RequestLimiter(Bounds(2, 100.0, max_tenant_share=0.5))
    first = admitted(limiter, ADA, 1.0)
    admitted(limiter, ADA, 1.0)
    assert refused(limiter, BEN, now=10.0) is LimitScope.SERVER
    limiter.leave(first)
    assert refused(limiter, ADA, now=99.0) is LimitScope.TENANT
    admitted(limiter, ADA, 1.0, now=101.0)


def test_callers_without_a_name_have_no_share_to_exceed() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.25))
    for _ in range(4):
        admitted(limiter, ANONYMOUS, 1.0)


def test_the_smallest_share_is_one_request() -> None:
    limiter = RequestLimiter(Bounds(3, 100.0, max_tenant_share=0.01))
    admitted(limiter, BEN, 49.0)
    admitted(limiter, ADA, 50.0)
    assert refused(limiter, ADA) is LimitScope.TENANT


STEP = st.tuples(
    st.sampled_from(["admit", "spoken", "leave", "expect"]), st.sampled_from([ANONYMOUS, ADA, BEN]), st.floats(0, 60)
)


@given(st.lists(STEP, max_size=60), st.floats(0.1, 1.0))
def test_bounds_hold_and_nothing_is_lost_whatever_happens(steps: list[tuple[str, Caller, float]], share: float) -> None:
    limiter, bounds = RequestLimiter(Bounds(5, 100.0, share)), Bounds(5, 100.0, share)
    held: list[Permit] = []
    for now, (what, caller, seconds) in enumerate(steps):
        if what == "admit":
            held += admitted_fairly(limiter, bounds, held, caller, seconds, float(now))
        elif held and what == "leave":
            limiter.leave(held[0])
            limiter.leave(held.pop(0))
        elif held:
            (limiter.spoken if what == "spoken" else limiter.expect)(held[-1], seconds)
        assert limiter.demand.requests == len(held) <= bounds.max_requests
        assert limiter.demand.audio_seconds == pytest.approx(sum(each.audio_seconds for each in held), abs=1e-6)
    for each in held:
        limiter.leave(each)
    assert limiter.demand == Demand(0, 0.0)


def admitted_fairly(
    limiter: RequestLimiter, bounds: Bounds, held: list[Permit], caller: Caller, seconds: float, now: float
) -> list[Permit]:
    """Ask for a place; whoever has company gets no more than its share, and who has no place yet none by its share."""
    theirs = sum(each.caller == caller for each in held)
    share = max(1, int(bounds.max_requests * bounds.max_tenant_share))
    answer = limiter.admit(caller, seconds, now)
    if isinstance(answer, Rejection):
        assert answer.full is LimitScope.SERVER or (theirs and caller != ANONYMOUS)
        return []
    has_company = len(held) > theirs
    assert caller == ANONYMOUS or not has_company or theirs < share
    return [answer]


@given(st.lists(st.floats(0, 50), max_size=20), st.floats(0.1, 1.0))
def test_nobody_is_refused_for_a_share_while_alone(audio_seconds: list[float], share: float) -> None:
    limiter = RequestLimiter(Bounds(5, 100.0, share))
    answers = [limiter.admit(ADA, seconds, 0.0) for seconds in audio_seconds]
    assert not [each for each in answers if isinstance(each, Rejection) and each.full is LimitScope.TENANT]


@given(st.integers(2, 12), st.floats(0.05, 0.95), st.integers(0, 30))
def test_however_greedy_the_first_is_the_second_gets_what_it_leaves(requests: int, share: float, tries: int) -> None:
    limiter = RequestLimiter(Bounds(requests, 1e6, share))
    adas = [admitted(limiter, ADA, 1.0) for _ in range(requests)]
    assert refused(limiter, BEN) is LimitScope.SERVER
    limiter.leave(adas.pop())
    for attempt in range(tries):  # the first asks again and again before the second comes back
        assert refused(limiter, ADA, now=1.0 + attempt) is LimitScope.TENANT
    admitted(limiter, BEN, 1.0, now=60.0)
