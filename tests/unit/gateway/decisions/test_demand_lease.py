"""The sleep protocol from the gateway's side: when a Lease is renewed, and that it never goes backwards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.demand_lease import (
    Activity,
    Lease,
    format_time,
    next_renew_time,
    parse_lease,
    parse_time,
    renewal_patch,
    renewal_period_seconds,
    renewal_reason,
)

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def lease(renewed: float | None = None, asleep: float | None = None, duration: float = 60) -> Lease:
    return Lease(
        "voxfleet-demand",
        "narrator",
        "7",
        duration,
        None if renewed is None else ago(renewed),
        None if asleep is None else ago(asleep),
    )


def test_a_new_lease_is_not_renewed_for_requests_of_an_earlier_resource_of_its_name() -> None:
    reborn = replace(lease(), created=ago(10))
    assert renewal_reason(reborn, Activity(last_finished=ago(11)), NOW, is_stopping=True) is None
    assert renewal_reason(reborn, Activity(last_finished=ago(9)), NOW) == "finished"


@pytest.mark.parametrize(
    ("found", "activity", "reason"),
    [
        (lease(), Activity(), None),  # no request
        (lease(), Activity(is_wake_requested=True), "wake"),  # never renewed
        (lease(renewed=61), Activity(held=1), "wake"),  # run out
        (lease(renewed=5), Activity(is_wake_requested=True), None),  # the operator has it already
        (
            lease(renewed=25),
            Activity(is_wake_requested=True),
            "wake",
        ),  # the operator did not act on it: renew again, rarely
        (lease(renewed=5, asleep=1), Activity(is_wake_requested=True), "wake"),  # marked asleep since
        (lease(renewed=5, asleep=5), Activity(held=1), "wake"),  # at the same instant counts as since
        (lease(renewed=5, asleep=9), Activity(held=1), None),  # renewed after the mark
        (lease(renewed=19), Activity(open=1), None),  # busy, renewed not long ago
        (lease(renewed=20), Activity(open=1), "active"),  # a third of the duration
        (lease(renewed=29, duration=1800), Activity(open=1), None),
        (lease(renewed=30, duration=1800), Activity(held=1), "active"),  # 30 s at most
        (lease(renewed=10), Activity(last_finished=ago(3)), "finished"),
        (lease(renewed=2), Activity(last_finished=ago(3)), None),  # reported already
        (lease(renewed=0.5), Activity(last_finished=ago(0.1)), None),  # not twice within a second
        (lease(renewed=10), Activity(open=1, last_finished=ago(3)), None),  # not the last one
    ],
)
def test_when_a_lease_is_renewed(found: Lease, activity: Activity, reason: str | None) -> None:
    assert renewal_reason(found, activity, NOW) == reason


def test_a_stopping_gateway_renews_for_open_and_ended_requests() -> None:
    assert renewal_reason(lease(renewed=5), Activity(open=1), NOW, is_stopping=True) == "stopping"
    assert renewal_reason(lease(renewed=5), Activity(), NOW, is_stopping=True) is None
    assert renewal_reason(lease(renewed=5), Activity(last_finished=ago(2)), NOW, is_stopping=True) == "finished"


@pytest.mark.parametrize(("duration", "period"), [(5, 5 / 3), (60, 20), (1800, 30)])
def test_the_period_is_a_third_of_the_duration_up_to_30_seconds(duration: float, period: float) -> None:
    assert renewal_period_seconds(duration) == pytest.approx(period)


seconds = st.floats(-1e6, 1e6)


@given(st.none() | seconds, st.none() | seconds, seconds)
def test_a_renewal_never_goes_backwards(renewed: float | None, asleep: float | None, skew: float) -> None:
    found = lease(renewed, asleep)
    renewed_to = next_renew_time(found, NOW + timedelta(seconds=skew))
    assert found.renew_time is None or renewed_to > found.renew_time
    assert found.asleep_since is None or renewed_to > found.asleep_since
    after = parse_lease(_raw(found, format_time(renewed_to)))
    assert not after.is_falling_asleep, "also on a clock that is behind the operator's"


def _raw(found: Lease, renew_time: str | None) -> dict[str, Any]:
    since = found.asleep_since
    annotations = {"voxfleet.dev/asleep-since": format_time(since)} if since else None
    metadata = {"namespace": "d", "name": "n", "resourceVersion": "8", "annotations": annotations}
    return {"metadata": metadata, "spec": {"leaseDurationSeconds": 60, "renewTime": renew_time}}


def test_the_patch_carries_the_version_it_was_decided_on() -> None:
    patch = renewal_patch(lease(renewed=5), NOW, "gateway-1")
    assert patch == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"renewTime": "2026-11-23T20:00:00.000000Z", "holderIdentity": "gateway-1"},
    }


def test_leases_are_read_as_the_api_server_writes_them() -> None:
    read = parse_lease(_raw(lease(asleep=1), "2026-11-23T19:59:50.123456Z"))
    assert read.renew_time == datetime(2026, 11, 23, 19, 59, 50, 123456, tzinfo=UTC)
    assert read.asleep_since == ago(1)
    empty = parse_lease({"metadata": {"namespace": "d", "name": "n"}})
    assert (empty.renew_time, empty.duration_seconds, empty.is_falling_asleep) == (None, 0, False)


@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-13-01T00:00:00Z"])
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert parse_time(text) is None
