"""A peer's report: what is believed is bounded, what is refused has a reason."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import PeerReportError
from voxfleet_gateway.peers.report import (
    MAX_MODELS,
    MAX_REPORT_BYTES,
    ModelReport,
    RegionReport,
    format_report,
    new_report,
    parse_region_report,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROW = {"namespace": "d", "name": "n", "ready_pods": 2, "rows": 64, "running": 3, "free_requests": 100}
REPORT = {"region": "eu", "at": "2026-11-30T12:00:00Z", "models": [ROW]}
COUNTS = ("ready_pods", "rows", "running", "waiting", "free_requests", "open_requests", "held_requests")
WAKE_SECONDS = ("measured_wake_seconds", "wake_elapsed_seconds")
SECONDS = ("service_seconds", "step_seconds_p50", "first_audio_seconds_p95", "arrivals_per_second", *WAKE_SECONDS)


def parse(report: Any, peer: str = "eu") -> RegionReport:
    return parse_region_report(json.dumps(report).encode(), peer, NOW)


def test_a_report_is_read_as_it_was_written() -> None:
    rows = [
        ModelReport(namespace="d", name="n", ready_pods=1, rows=32, arrivals_by_country={"DE": 0.5, "": 0.1}),
        ModelReport(namespace="d", name="sleeping", measured_wake_seconds=41.5, failure="no image"),
    ]
    report = new_report("eu", "gateway-1", 2, rows, NOW.astimezone(timezone(timedelta(hours=8))))
    assert parse_region_report(format_report(report), "eu", NOW) == report
    assert report.by_model["d", "sleeping"].measured_wake_seconds == 41.5


def test_fields_of_a_newer_gateway_are_ignored() -> None:
    assert parse(REPORT | {"new": 1, "models": [ROW | {"newer": [2]}]}).models[0].rows == 64


@pytest.mark.parametrize("value", [-1, 10**7, 10**400, 1.5, "many", None, [], {}])
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(PeerReportError, match=f"^form: models.0.{name}|^form: no JSON") as refused:
        parse(REPORT | {"models": [ROW | {name: value}]})
    assert refused.value.reason == "form"


@pytest.mark.parametrize("value", [-0.1, 1e7, math.nan, math.inf, -math.inf, "late", [], {}])
@pytest.mark.parametrize("name", SECONDS)
def test_seconds_that_cannot_be_are_refused(name: str, value: Any) -> None:
    with pytest.raises(PeerReportError, match=r"^form"):
        parse(REPORT | {"models": [ROW | {name: value}]})


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"region": "us"}, "^region: region 'us' by the certificate of eu"),
        ({"region": "x" * 300}, "^form: region"),
        ({"at": "2026-11-30T12:05:01Z"}, "^clock: made at 2026-11-30T12:05:01"),
        ({"at": "2026-11-30T11:54:59Z"}, "^clock"),
        ({"at": "9999-12-31T23:59:59-23:59"}, "^clock|^form"),
        ({"at": "0001-01-01T00:00:00+23:59"}, "^clock|^form"),
        ({"at": "2026-11-30T12:00:00"}, "^form: at: .*timezone"),
        ({"at": 1e300}, "^form: at"),
        ({"models": [ROW, ROW]}, "^form: models: d/n stands there twice"),
        ({"models": [{"namespace": "d", "name": f"n{n}"} for n in range(MAX_MODELS + 1)]}, "^form: models"),
        ({"models": [ROW | {"arrivals_by_country": {f"{n:03}": 1 for n in range(301)}}]}, "^form"),
        ({"models": [ROW | {"arrivals_by_country": {"de\n": 1}}]}, "^form"),
        ({"models": [ROW | {"arrivals_by_country": {"DE": -1}}]}, "^form"),
        ({"models": [ROW | {"failure": "x" * 1000}]}, "^form"),
        ({"models": [ROW | {"name": ""}]}, "^form"),
        ({"replicas": 0}, "^form: replicas"),
    ],
)
def test_a_report_that_cannot_be_is_refused_with_a_reason(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(PeerReportError, match=reason):
        parse(REPORT | changed)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "form"), (b"[]", "form"), (b"null", "form"), (b"{", "form"), (b"\xff\xfe", "form"),
        (b"[" * 60_000, "form"), (b'{"region":' * 10_000, "form"), (b" " * (MAX_REPORT_BYTES + 1), "size"),
        (json.dumps(REPORT).replace("64", "9" * 5000).encode(), "form"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_report_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(PeerReportError) as refused:
        parse_region_report(body, "eu", NOW)
    assert refused.value.reason == reason


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from([*ROW, *COUNTS, *SECONDS, "failure", "arrivals_by_country"]), JSON_VALUES),
    st.dictionaries(st.sampled_from([*REPORT, "replicas", "gateway"]), JSON_VALUES),
)
def test_whatever_a_peer_sends_is_bounded_or_refused(row: dict[str, Any], report: dict[str, Any]) -> None:
    try:
        read = parse(REPORT | {"models": [ROW | row]} | report)
    except PeerReportError:
        return
    assert read.region == "eu"
    assert abs(read.at - NOW) <= timedelta(minutes=5)
    for each in read.models:
        assert all(0 <= getattr(each, name) <= 1_000_000 for name in COUNTS)
        assert all(getattr(each, name) is None or 0 <= getattr(each, name) <= 1e6 for name in SECONDS)
        assert all(math.isfinite(rate) and rate >= 0 for rate in each.arrivals_by_country.values())


def test_of_too_many_models_the_busiest_are_reported() -> None:
    rows = [ModelReport(namespace="d", name=f"n{n}", open_requests=n) for n in range(MAX_MODELS + 10)]
    kept = new_report("eu", "g", 1, rows, NOW).by_model
    assert len(kept) == MAX_MODELS
    assert ("d", "n9") not in kept
    assert ("d", f"n{MAX_MODELS + 9}") in kept


def test_a_full_report_stays_within_its_bound() -> None:
    everything = dict.fromkeys(COUNTS, 999_999) | dict.fromkeys(SECONDS, 12345.678901)
    rows = [ModelReport(namespace="n" * 63, name=f"{n:063}", **everything) for n in range(1000)]
    assert len(format_report(new_report("eu", "g", 2, rows, NOW))) <= MAX_REPORT_BYTES


def test_of_a_gateway_that_does_not_say_it_all_others_are_silent() -> None:
    assert parse(REPORT | {"replicas": 3}).silent == 2
    assert parse(REPORT | {"replicas": 3, "silent_gateways": 0}).silent == 0
