from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.admission.callers import ANYBODY, Caller
from voxfleet_inference.admission.places import Bounds, Demand, Full, Place, Places, Refusal

ADA, BEN = Caller("ada"), Caller("ben")


def admitted(places: Places, caller: Caller, seconds: float, now: float = 0.0) -> Place:
    place = places.admit(caller, seconds, now)
    assert isinstance(place, Place), place
    return place


def test_the_server_is_full_by_requests() -> None:
    places = Places(Bounds(2, 100.0))
    first = admitted(places, ANYBODY, 1.0)
    admitted(places, ANYBODY, 1.0)
    refusal = places.admit(ANYBODY, 1.0, 0.0)
    assert refusal == Refusal(Full.SERVER, "the server is full: 2 requests are open, 2 are taken")
    places.leave(first)
    admitted(places, ANYBODY, 1.0)


def test_the_server_is_full_by_audio_until_enough_has_been_spoken() -> None:
    places = Places(Bounds(10, 100.0))
    long = admitted(places, ANYBODY, 90.0)
    refusal = places.admit(ANYBODY, 20.0, 0.0)
    assert isinstance(refusal, Refusal)
    assert refusal.full is Full.SERVER
    assert "about 90 s of audio are still to be spoken and this would be 20 s more, 100 s are taken" in refusal.message
    places.spoken(long, 15.0)
    admitted(places, ANYBODY, 20.0)
    places.expect(long, 5.0)
    assert places.demand == Demand(2, pytest.approx(100.0))


def test_an_idle_server_takes_a_text_of_any_length() -> None:
    admitted(Places(Bounds(1, 10.0)), ADA, 1000.0)


def refused(places: Places, caller: Caller, now: float = 0.0) -> Full:
    refusal = places.admit(caller, 1.0, now)
    assert isinstance(refusal, Refusal)
    return refusal.full


def test_a_tenant_has_its_share_and_others_have_the_rest() -> None:
    places = Places(Bounds(4, 100.0, max_tenant_share=0.5))
    admitted(places, BEN, 1.0)
    admitted(places, ADA, 1.0)
    admitted(places, ADA, 1.0)
    refusal = places.admit(ADA, 1.0, 0.0)
    assert refusal == Refusal(
        Full.TENANT, "your share of the server is full, and others use it: 2 requests are open, 2 are taken"
    )
    admitted(places, BEN, 1.0)
    assert refused(places, ADA) is Full.SERVER


def test_a_tenant_who_is_alone_may_fill_the_server() -> None:
    places = Places(Bounds(4, 100.0, max_tenant_share=0.5))
    for _ in range(4):
        admitted(places, ADA, 1.0)
    assert refused(places, ADA) is Full.SERVER
    assert refused(places, ADA, now=1.0) is Full.SERVER, "its own refusal is no company"


def test_who_comes_second_is_turned_away_once() -> None:
    places = Places(Bounds(4, 100.0, max_tenant_share=0.5))
    adas = [admitted(places, ADA, 1.0) for _ in range(4)]
    assert refused(places, BEN, now=10.0) is Full.SERVER
    places.leave(adas.pop())
    assert refused(places, ADA, now=11.0) is Full.TENANT, "the free place is kept for who was turned away"
    admitted(places, BEN, 1.0, now=70.0)
    assert refused(places, ADA, now=200.0) is Full.SERVER
    places.leave(adas.pop())
    assert refused(places, ADA, now=200.0) is Full.TENANT, "and he is here now"


def test_who_does_not_come_back_is_forgotten() -> None:
    places = Places(Bounds(2, 100.0, max_tenant_share=0.5))
    first = admitted(places, ADA, 1.0)
    admitted(places, ADA, 1.0)
    assert refused(places, BEN, now=10.0) is Full.SERVER
    places.leave(first)
    assert refused(places, ADA, now=99.0) is Full.TENANT
    admitted(places, ADA, 1.0, now=101.0)


def test_callers_without_a_name_have_no_share_to_exceed() -> None:
    places = Places(Bounds(4, 100.0, max_tenant_share=0.25))
    for _ in range(4):
        admitted(places, ANYBODY, 1.0)


def test_the_smallest_share_is_one_request() -> None:
    places = Places(Bounds(3, 100.0, max_tenant_share=0.01))
    admitted(places, BEN, 49.0)
    admitted(places, ADA, 50.0)
    assert refused(places, ADA) is Full.TENANT


STEP = st.tuples(
    st.sampled_from(["admit", "spoken", "leave", "expect"]), st.sampled_from([ANYBODY, ADA, BEN]), st.floats(0, 60)
)


@given(st.lists(STEP, max_size=60), st.floats(0.1, 1.0))
def test_bounds_hold_and_nothing_is_lost_whatever_happens(steps: list[tuple[str, Caller, float]], share: float) -> None:
    places, bounds = Places(Bounds(5, 100.0, share)), Bounds(5, 100.0, share)
    held: list[Place] = []
    for now, (what, caller, seconds) in enumerate(steps):
        if what == "admit":
            held += admitted_fairly(places, bounds, held, caller, seconds, float(now))
        elif held and what == "leave":
            places.leave(held[0])
            places.leave(held.pop(0))
        elif held:
            (places.spoken if what == "spoken" else places.expect)(held[-1], seconds)
        assert places.demand.requests == len(held) <= bounds.max_requests
        assert places.demand.audio_seconds == pytest.approx(sum(each.audio_seconds for each in held), abs=1e-6)
    for each in held:
        places.leave(each)
    assert places.demand == Demand(0, 0.0)


def admitted_fairly(
    places: Places, bounds: Bounds, held: list[Place], caller: Caller, seconds: float, now: float
) -> list[Place]:
    """Ask for a place; whoever has company gets no more than its share, and who has no place yet none by its share."""
    theirs = sum(each.caller == caller for each in held)
    share = max(1, int(bounds.max_requests * bounds.max_tenant_share))
    answer = places.admit(caller, seconds, now)
    if isinstance(answer, Refusal):
        assert answer.full is Full.SERVER or (theirs and caller != ANYBODY)
        return []
    has_company = len(held) > theirs
    assert caller == ANYBODY or not has_company or theirs < share
    return [answer]


@given(st.lists(st.floats(0, 50), max_size=20), st.floats(0.1, 1.0))
def test_nobody_is_refused_for_a_share_while_alone(audio_seconds: list[float], share: float) -> None:
    places = Places(Bounds(5, 100.0, share))
    answers = [places.admit(ADA, seconds, 0.0) for seconds in audio_seconds]
    assert not [each for each in answers if isinstance(each, Refusal) and each.full is Full.TENANT]


@given(st.integers(2, 12), st.floats(0.05, 0.95), st.integers(0, 30))
def test_however_greedy_the_first_is_the_second_gets_what_it_leaves(requests: int, share: float, tries: int) -> None:
    places = Places(Bounds(requests, 1e6, share))
    adas = [admitted(places, ADA, 1.0) for _ in range(requests)]
    assert refused(places, BEN) is Full.SERVER
    places.leave(adas.pop())
    for attempt in range(tries):  # the first asks again and again before the second comes back
        assert refused(places, ADA, now=1.0 + attempt) is Full.TENANT
    admitted(places, BEN, 1.0, now=60.0)
