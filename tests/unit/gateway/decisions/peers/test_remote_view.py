"""The view of a region behind a peer: bounded, whatever was reported; and decisions about it."""

import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.peers.remote_state import RemoteReport, RemoteState
from voxfleet_gateway.decisions.peers.remote_view import remote_region_view, through_gateway
from voxfleet_gateway.decisions.record import DecisionRecord, from_json, to_json
from voxfleet_gateway.decisions.region_standing import stand, stand_all
from voxfleet_gateway.decisions.routing import RouteRequest, decide
from voxfleet_gateway.decisions.snapshot import RegionState, RegionView
from voxfleet_gateway.regions import Location, ModelEntry, RegionEntry, RegionKey, ServingRules

NOW = 100.0
AWAKE = RemoteReport(ready_pods=1, rows=32, running=4, free_requests=100, service_seconds=1.5)
LOCAL = RegionView("eu", ready_pods=1, rows=32, free_requests=100)
ASLEEP = RegionView("eu")
HERE = RouteRequest("eu", rtt_seconds=(0.0263, 0.1263), rtt_source="assumed")


def view(report: RemoteReport = AWAKE, *, sent: int = 0, age: float = 1.0, **entry: Any) -> RegionView:
    fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": "n", "model": "m"}
    row = RegionEntry(name="us", **{"max_replicas": 4, "local": False} | entry)
    model = ModelEntry(**fields, regions=(row,), serving=ServingRules())
    remote = RemoteState(2.0)
    remote.record_report(report, NOW - age, 0, 0.1)
    remote.sent = sent
    state = RegionState(RegionKey("d", "n", "us"), model, row, is_here=False, remote=remote)
    return remote_region_view(state, remote, 0, 256, NOW)


def test_a_fresh_report_makes_a_region_available() -> None:
    seen = view()
    assert seen.is_available
    assert (seen.rows, seen.running, seen.free_requests, seen.hop_seconds, seen.report_age_seconds) == (
        32, 4, 100, 0.1, 1.0,
    )  # fmt: skip


def test_own_requests_run_and_then_wait() -> None:
    seen = view(sent=30)
    assert (seen.running, seen.waiting, seen.free_requests) == (32, 2, 70)


def test_no_more_capacity_is_believed_than_the_registry_allows() -> None:
    seen = view(RemoteReport(ready_pods=10**6, rows=10**6, free_requests=10**6), max_replicas=2)
    assert (seen.ready_pods, seen.rows, seen.free_requests) == (3, 96, 480)


def test_a_stale_report_excludes_the_region_and_says_so() -> None:
    standing = stand(view(age=6.5))
    assert (standing.unable_by, standing.is_available, standing.view.ready_pods) == ("stale", False, 0)
    alone = decide((standing,), replace(HERE, rtt_seconds=(0.1,)))
    assert (alone.action, alone.route, alone.retry_after_seconds) == ("refuse", "stale", 5)
    beside = decide(stand_all([ASLEEP, view(age=6.5)]), HERE)
    assert (beside.action, beside.region) == ("hold", "eu")


COUNTS, SECONDS = st.integers(0, 10**6), st.floats(0, 1e6)


@given(
    st.builds(
        RemoteReport,
        ready_pods=COUNTS, rows=COUNTS, running=COUNTS, waiting=COUNTS, free_requests=COUNTS,
        service_seconds=st.none() | SECONDS, measured_wake_seconds=st.none() | SECONDS, wake_elapsed_seconds=SECONDS,
        is_falling_asleep=st.booleans(), failure=st.none() | st.text(max_size=20),
    ),
    st.integers(0, 10**5), st.floats(0, 1e4), st.integers(0, 1),
)  # fmt: skip
def test_whatever_is_reported_a_decision_is_made_and_replays(
    report: RemoteReport, sent: int, age: float, hops_left: int
) -> None:
    seen = view(report, sent=sent, age=age)
    counts = {name: value for name, value in asdict(seen).items() if isinstance(value, float | int)}
    assert all(math.isfinite(value) and (value >= 0 or name == "drift") for name, value in counts.items())
    assert seen.rows <= 5 * 32
    assert seen.running <= seen.rows
    standings = stand_all([ASLEEP, seen])
    request = replace(HERE, hops_left=hops_left)
    decision = decide(standings, request)
    assert hops_left or decision.region == "eu"
    record = DecisionRecord(request, standings, decision)
    read = from_json(to_json(record))
    assert read.record == record
    assert decide(read.record.standings, read.record.route_request) == decision


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        (LOCAL, view(), ("serve", "eu", "nearest", ())),
        (replace(LOCAL, running=32, waiting=90), view(), ("serve", "us", "spill-load", ())),
        (ASLEEP, view(), ("serve", "us", "spill-wake", ("eu",))),
        (ASLEEP, view(RemoteReport()), ("hold", "eu", "hold-wake", ("eu",))),
        (replace(ASLEEP, failure="no image"), view(), ("serve", "us", "failover", ("eu",))),
        (replace(ASLEEP, failure="no image"), view(RemoteReport()), ("hold", "us", "failover", ("eu", "us"))),
        (replace(LOCAL, free_requests=0), view(suspended=True), ("hold", "eu", "hold-load", ())),
        (replace(LOCAL, is_suspended=True), view(), ("serve", "us", "nearest", ())),
    ],
)
def test_a_peer_is_chosen_by_the_same_rules(
    local: RegionView, remote: RegionView, expected: tuple[str, str, str, tuple[str, ...]]
) -> None:
    decision = decide(stand_all([local, remote]), HERE)
    assert (decision.action, decision.region, decision.route, decision.wake) == expected


def test_a_request_that_came_through_a_gateway_goes_through_no_second_one() -> None:
    again = replace(HERE, hops_left=0)
    assert decide(stand_all([ASLEEP, view()]), again).region == "eu"
    alone = decide(stand_all([view()]), replace(again, rtt_seconds=(0.1,)))
    assert (alone.action, alone.route) == ("refuse", "second-hop")


def test_a_region_that_may_not_serve_the_country_is_not_spilled_to() -> None:
    standings = stand_all([replace(LOCAL, running=32, waiting=90), view(allowed_clients=("US",))])
    assert decide(standings, replace(HERE, client_country="DE")).region == "eu"
    assert decide(standings, HERE).region == "eu", "an unknown country is in no list"
    assert decide(standings, replace(HERE, client_country="US")).region == "us"


def test_the_round_trip_to_a_peer_goes_through_this_gateway() -> None:
    eu, us = Location(50.1, 8.7), Location(39.0, -77.5)
    places = (("eu", eu), ("us", us))
    standings = stand_all([LOCAL, view()])
    assert through_gateway((0.12, 0.03), standings, places, "eu") == (0.12, 0.22)
    unchanged = (0.1, 0.2)
    assert through_gateway(unchanged, stand_all([LOCAL, LOCAL]), places, "eu") is unchanged
    assert through_gateway((0.03,), stand_all([view()]), (("us", us),), "eu") == (0.1263,)
