"""The headers between gateways: read back as written, and bounded whatever is sent."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.errors import PeerHeaderError
from voxfleet_gateway.peers.headers import SpilledRequest, read_spill_headers, spill_headers
from voxfleet_gateway.regions import Location


def test_headers_are_read_as_they_were_written() -> None:
    caller, place = Caller("acme", priority=-3), Location(50.11, 8.68)
    headers = spill_headers("d/n", caller, place, "DE", 12.3456, may_hold=True)
    assert read_spill_headers(headers) == SpilledRequest(
        "d/n", "acme", -3, 12.346, may_hold=True, location=place, country="DE"
    )


def test_an_unknown_place_has_no_header() -> None:
    assert read_spill_headers(spill_headers("d/n", Caller())) == SpilledRequest(
        "d/n", "", 0, 0.0, may_hold=False, location=None, country=None
    )


@pytest.mark.parametrize("hops", ["2", "0", "", "-1", "1 ", "one"])
def test_a_second_hop_is_refused(hops: str) -> None:
    with pytest.raises(PeerHeaderError, match="one other gateway at most"):
        read_spill_headers({"Voxfleet-Hops": hops})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Voxfleet-Tenant", "x" * 254),
        ("Voxfleet-Model", "x" * 508),
        ("Voxfleet-Priority", "high"),
        ("Voxfleet-Priority", "nan"),
        ("Voxfleet-Deadline-Seconds", ""),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(PeerHeaderError, match=name):
        read_spill_headers({name: value})


@given(
    st.dictionaries(
        st.sampled_from([
            "Voxfleet-Tenant", "Voxfleet-Priority", "Voxfleet-Deadline-Seconds", "Voxfleet-May-Hold",
            "Voxfleet-Client-Location", "Voxfleet-Client-Country", "Voxfleet-Model",
        ]),
        st.text(max_size=40) | st.integers().map(str) | st.floats().map(str) | st.just("9" * 5000),
    )
)  # fmt: skip
def test_whatever_is_sent_is_bounded_or_refused(headers: dict[str, str]) -> None:
    try:
        read = read_spill_headers(headers)
    except PeerHeaderError:
        return
    assert math.isfinite(read.deadline_seconds)
    assert 0 <= read.deadline_seconds <= 86_400
    assert abs(read.priority) <= 1_000_000
