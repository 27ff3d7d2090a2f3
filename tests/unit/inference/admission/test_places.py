from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.admission.callers import ANYBODY, Caller
from voxfleet_inference.admission.places import Bounds, Demand, Full, Place, Places, Refusal

ADA, BEN = Caller("ada"), Caller("ben")


def admitted(places: Places, caller: Caller, seconds: float) -> Place:
    place = places.admit(caller, seconds)
    assert isinstance(place, Place), place
    return place


def test_the_server_is_full_by_requests() -> None:
    places = Places(Bounds(2, 100.0))
    first = admitted(places, ANYBODY, 1.0)
    admitted(places, ANYBODY, 1.0)
    refusal = places.admit(ANYBODY, 1.0)
    assert refusal == Refusal(Full.SERVER, "the server is full: 2 requests are open, 2 are taken")
    places.leave(first)
    admitted(places, ANYBODY, 1.0)


def test_the_server_is_full_by_audio_until_enough_has_been_spoken() -> None:
    places = Places(Bounds(10, 100.0))
    long = admitted(places, ANYBODY, 90.0)
    refusal = places.admit(ANYBODY, 20.0)
    assert isinstance(refusal, Refusal)
    assert refusal.full is Full.SERVER
    assert "about 90 s of audio are still to be spoken and this would be 20 s more, 100 s are taken" in refusal.message
    places.spoken(long, 15.0)
    admitted(places, ANYBODY, 20.0)
    places.expect(long, 5.0)
    assert places.demand == Demand(2, pytest.approx(100.0))


def test_an_idle_server_takes_a_text_of_any_length() -> None:
    admitted(Places(Bounds(1, 10.0)), ADA, 1000.0)


def test_a_tenant_has_its_share_and_others_have_the_rest() -> None:
    places = Places(Bounds(4, 100.0, max_tenant_share=0.5))
    admitted(places, ADA, 1.0)
    admitted(places, ADA, 1.0)
    refusal = places.admit(ADA, 1.0)
    assert isinstance(refusal, Refusal)
    assert (refusal.full, "your share" in refusal.message) == (Full.TENANT, True)
    admitted(places, BEN, 1.0)
    admitted(places, BEN, 1.0)
    full = places.admit(ADA, 1.0)
    assert isinstance(full, Refusal)
    assert full.full is Full.SERVER


def test_callers_without_a_name_have_no_share_to_exceed() -> None:
    places = Places(Bounds(4, 100.0, max_tenant_share=0.25))
    for _ in range(4):
        admitted(places, ANYBODY, 1.0)


def test_the_smallest_share_is_one_request() -> None:
    places = Places(Bounds(3, 100.0, max_tenant_share=0.01))
    admitted(places, ADA, 50.0)
    assert isinstance(places.admit(ADA, 1.0), Refusal)
    admitted(places, BEN, 49.0)


STEP = st.tuples(
    st.sampled_from(["admit", "spoken", "leave", "expect"]), st.sampled_from([ANYBODY, ADA, BEN]), st.floats(0, 60)
)


@given(st.lists(STEP, max_size=60), st.floats(0.1, 1.0))
def test_bounds_hold_and_nothing_is_lost_whatever_happens(steps: list[tuple[str, Caller, float]], share: float) -> None:
    places, bounds = Places(Bounds(5, 100.0, share)), Bounds(5, 100.0, share)
    held: list[Place] = []
    for what, caller, seconds in steps:
        if what == "admit":
            place = places.admit(caller, seconds)
            held += [place] if isinstance(place, Place) else []
        elif held and what == "leave":
            places.leave(held[0])
            places.leave(held.pop(0))
        elif held:
            (places.spoken if what == "spoken" else places.expect)(held[-1], seconds)
        assert places.demand.requests == len(held) <= bounds.max_requests
        assert places.demand.audio_seconds == pytest.approx(sum(each.audio_seconds for each in held), abs=1e-6)
        for tenant in (ADA, BEN):
            assert sum(each.caller == tenant for each in held) <= max(1, int(5 * share))
    for each in held:
        places.leave(each)
    assert places.demand == Demand(0, 0.0)
