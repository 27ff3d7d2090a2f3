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


def test_the_limit_of_requests_rejects_until_one_ends() -> None:
    limiter = RequestLimiter(Bounds(2, 100.0))
    first = admitted(limiter, ANONYMOUS, 1.0)
    admitted(limiter, ANONYMOUS, 1.0)
    rejection = limiter.admit(ANONYMOUS, 1.0, 0.0)
    assert rejection == Rejection(LimitScope.SERVER, "the server is full: 2 requests are open; the limit is 2")
    limiter.leave(first)
    admitted(limiter, ANONYMOUS, 1.0)


def test_the_limit_of_audio_rejects_until_enough_has_been_made() -> None:
    limiter = RequestLimiter(Bounds(10, 100.0))
    long = admitted(limiter, ANONYMOUS, 90.0)
    rejection = limiter.admit(ANONYMOUS, 20.0, 0.0)
    assert isinstance(rejection, Rejection)
    assert rejection.full is LimitScope.SERVER
    assert "wait for about 90 s of audio and this one would add 20 s; the limit is 100 s" in rejection.message
    limiter.spoken(long, 15.0)
    admitted(limiter, ANONYMOUS, 20.0)
    limiter.expect(long, 5.0)
    assert limiter.demand == Demand(2, pytest.approx(100.0))


def test_an_idle_server_admits_a_text_of_any_length() -> None:
    admitted(RequestLimiter(Bounds(1, 10.0)), ADA, 1000.0)


def limit_of_rejection(limiter: RequestLimiter, caller: Caller, now: float = 0.0) -> LimitScope:
    rejection = limiter.admit(caller, 1.0, now)
    assert isinstance(rejection, Rejection)
    return rejection.full


def test_a_tenant_gets_its_share_and_others_the_rest() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.5))
    admitted(limiter, BEN, 1.0)
    admitted(limiter, ADA, 1.0)
    admitted(limiter, ADA, 1.0)
    rejection = limiter.admit(ADA, 1.0, 0.0)
    assert rejection == Rejection(
        LimitScope.TENANT,
        "your share of the server is used up while other tenants are active: 2 requests are open; the limit is 2",
    )
    admitted(limiter, BEN, 1.0)
    assert limit_of_rejection(limiter, ADA) is LimitScope.SERVER


def test_the_only_tenant_may_fill_the_server() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.5))
    for _ in range(4):
        admitted(limiter, ADA, 1.0)
    assert limit_of_rejection(limiter, ADA) is LimitScope.SERVER
    assert limit_of_rejection(limiter, ADA, now=1.0) is LimitScope.SERVER, (
        "its own rejection makes no other tenant active"
    )


def test_a_second_tenant_is_rejected_once() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.5))
    adas = [admitted(limiter, ADA, 1.0) for _ in range(4)]
    assert limit_of_rejection(limiter, BEN, now=10.0) is LimitScope.SERVER
    limiter.leave(adas.pop())
    assert limit_of_rejection(limiter, ADA, now=11.0) is LimitScope.TENANT, "the rejected tenant counts as active"
    admitted(limiter, BEN, 1.0, now=70.0)
    assert limit_of_rejection(limiter, ADA, now=200.0) is LimitScope.SERVER
    limiter.leave(adas.pop())
    assert limit_of_rejection(limiter, ADA, now=200.0) is LimitScope.TENANT, "the second tenant has a permit"


def test_a_rejected_tenant_counts_as_active_for_90_seconds() -> None:
    limiter = RequestLimiter(Bounds(2, 100.0, max_tenant_share=0.5))
    first = admitted(limiter, ADA, 1.0)
    admitted(limiter, ADA, 1.0)
    assert limit_of_rejection(limiter, BEN, now=10.0) is LimitScope.SERVER
    limiter.leave(first)
    assert limit_of_rejection(limiter, ADA, now=99.0) is LimitScope.TENANT
    admitted(limiter, ADA, 1.0, now=101.0)


def test_anonymous_callers_have_no_share() -> None:
    limiter = RequestLimiter(Bounds(4, 100.0, max_tenant_share=0.25))
    for _ in range(4):
        admitted(limiter, ANONYMOUS, 1.0)


def test_the_smallest_share_is_one_request() -> None:
    limiter = RequestLimiter(Bounds(3, 100.0, max_tenant_share=0.01))
    admitted(limiter, BEN, 49.0)
    admitted(limiter, ADA, 50.0)
    assert limit_of_rejection(limiter, ADA) is LimitScope.TENANT


STEP = st.tuples(
    st.sampled_from(["admit", "spoken", "leave", "expect"]), st.sampled_from([ANONYMOUS, ADA, BEN]), st.floats(0, 60)
)


@given(st.lists(STEP, max_size=60), st.floats(0.1, 1.0))
def test_limits_hold_and_every_permit_is_returned_in_any_order(
    steps: list[tuple[str, Caller, float]], share: float
) -> None:
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
    """Ask for a permit; a tenant gets at most its share while others have permits, and its first permit despite it."""
    theirs = sum(each.caller == caller for each in held)
    share = max(1, int(bounds.max_requests * bounds.max_tenant_share))
    answer = limiter.admit(caller, seconds, now)
    if isinstance(answer, Rejection):
        assert answer.full is LimitScope.SERVER or (theirs and caller != ANONYMOUS)
        return []
    has_others = len(held) > theirs
    assert caller == ANONYMOUS or not has_others or theirs < share
    return [answer]


@given(st.lists(st.floats(0, 50), max_size=20), st.floats(0.1, 1.0))
def test_a_share_never_rejects_the_only_tenant(audio_seconds: list[float], share: float) -> None:
    limiter = RequestLimiter(Bounds(5, 100.0, share))
    answers = [limiter.admit(ADA, seconds, 0.0) for seconds in audio_seconds]
    assert not [each for each in answers if isinstance(each, Rejection) and each.full is LimitScope.TENANT]


@given(st.integers(2, 12), st.floats(0.05, 0.95), st.integers(0, 30))
def test_a_first_tenant_that_retries_cannot_take_the_permit_that_the_second_waits_for(
    requests: int, share: float, tries: int
) -> None:
    limiter = RequestLimiter(Bounds(requests, 1e6, share))
    adas = [admitted(limiter, ADA, 1.0) for _ in range(requests)]
    assert limit_of_rejection(limiter, BEN) is LimitScope.SERVER
    limiter.leave(adas.pop())
    for attempt in range(tries):  # the first one retries before the second does
        assert limit_of_rejection(limiter, ADA, now=1.0 + attempt) is LimitScope.TENANT
    admitted(limiter, BEN, 1.0, now=60.0)
