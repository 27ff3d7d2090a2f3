from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.admission.callers import ANONYMOUS, Caller, CallerError, from_gateway_headers
from voxfleet_inference.admission.preferences import preferred_wait_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        (["wait=10"], 10),
        (["respond-async, wait=10"], 10),
        (["respond-async", "WAIT = 10"], 10),
        (['handling=lenient; note="a, wait=3", wait="7"; x=y'], 7),
        (["wait=5, wait=50"], 5),
        (["wait=soon, wait=5"], None),
        (["wait=0"], None),
        (["wait=-1"], None),
        (["wait"], None),
        (["wait=1.5"], None),
        (["wait=99999999"], None),
        (["await=3, waiting=4"], None),
        (['unclosed="wait=3'], None),
    ],
)
def test_the_first_wait_counts_and_invalid_ones_are_ignored(headers: list[str], seconds: int | None) -> None:
    assert preferred_wait_seconds(headers) == seconds


@given(st.lists(st.text(alphabet='wait=0123456789,;" \\\n', max_size=40), max_size=3))
def test_any_header_is_parsed_without_an_error(headers: list[str]) -> None:
    seconds = preferred_wait_seconds(headers)
    assert seconds is None or 1 <= seconds <= 86400


def test_a_gateway_sets_tenant_and_priority_and_the_rest_stays() -> None:
    assert from_gateway_headers(ANONYMOUS, {}) == ANONYMOUS
    assert from_gateway_headers(Caller("key"), {"voxfleet-priority": "-5"}) == Caller("key", -5)
    assert from_gateway_headers(Caller("key", 3), {"voxfleet-tenant": "acme"}) == Caller("acme", 3)


@pytest.mark.parametrize(
    "headers",
    [{"voxfleet-tenant": ""}, {"voxfleet-tenant": "a b"}, {"voxfleet-priority": "high"}, {"voxfleet-priority": "101"}],
)
def test_a_wrong_header_is_named(headers: dict[str, str]) -> None:
    name = next(iter(headers)).split("-")[1].capitalize()
    with pytest.raises(CallerError, match=f"Voxfleet-{name} must be"):
        from_gateway_headers(ANONYMOUS, headers)
