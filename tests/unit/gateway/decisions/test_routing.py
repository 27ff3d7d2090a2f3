"""The decision: which region serves a request, when it is held, and why."""

import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions import routing
from voxfleet_gateway.decisions.client_location import expected_rtts_seconds
from voxfleet_gateway.decisions.region_standing import (
    DISABLING,
    EXCLUDING,
    SCORES,
    queue_wait,
    stand_all,
)
from voxfleet_gateway.decisions.routing import Decision, RouteRequest, explain
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules, Location

EU, US = Location(50.11, 8.68), Location(39.04, -77.49)
AT_HOME = RouteRequest("eu-central")
NO_SPILL = GatewayRules(spill=False)


PLACES = {"eu-central": EU, "us-east": US, "a": EU, "b": EU}


def awake(name: str = "eu-central", **fields: Any) -> RegionView:
    return replace(RegionView(name, ready_pods=1, rows=4, free_requests=8), **fields)


def asleep(name: str = "eu-central", **fields: Any) -> RegionView:
    return replace(RegionView(name), **fields)


def decide(views: list[RegionView], request: RouteRequest) -> Decision:
    """Decide with the round trips of the regions' places, unless the request brings its own."""
    places = tuple((view.name, PLACES.get(view.name)) for view in views)
    rtts = request.rtt_seconds or expected_rtts_seconds(request.client, places, request.gateway_region)
    return routing.decide(stand_all(views), replace(request, rtt_seconds=rtts[: len(views)]))


def test_the_nearest_awake_region_serves() -> None:
    decision = decide([awake("us-east"), awake()], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.route, decision.wake) == ("serve", "eu-central", "nearest", ())


def test_both_asleep_wakes_home_only() -> None:
    decision = decide([asleep(), asleep("us-east")], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.wake) == ("hold", "eu-central", ("eu-central",))


def test_a_faster_wake_in_another_region_does_not_attract_requests() -> None:
    views = [asleep(predicted_wake_seconds=60), asleep("us-east", predicted_wake_seconds=5)]
    assert decide(views, replace(AT_HOME, client=EU)).region == "eu-central"


def test_a_sleeping_home_spills_and_wakes_in_the_background() -> None:
    decision = decide([asleep(), awake("us-east")], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.route) == ("serve", "us-east", "spill-wake")
    assert decision.wake == ("eu-central",)


@pytest.mark.parametrize(
    ("rtts", "region", "wake"),
    [
        ((0.010, 0.039), "us-east", ()),  # 29 ms are not worth a GPU
        ((0.010, 0.041), "us-east", ("eu-central",)),
        ((0.230, 0.232), "us-east", ()),
        ((0.230, 0.264), "us-east", ()),  # within 15 %
        ((0.230, 0.265), "us-east", ("eu-central",)),
    ],
)
def test_a_region_is_woken_only_where_it_is_nearer_by_enough(
    rtts: tuple[float, float], region: str, wake: tuple[str, ...]
) -> None:
    decision = decide([asleep(), awake("us-east")], replace(AT_HOME, rtt_seconds=rtts))
    assert (decision.region, decision.wake) == (region, wake)
    assert decision.route == ("spill-wake" if wake else "nearest")
    alone = decide([asleep(), awake("us-east")], replace(AT_HOME, rtt_seconds=rtts, rules=NO_SPILL))
    assert (alone.action, alone.wake) == ("hold", ("eu-central",))


def test_without_spill_the_request_waits_for_home() -> None:
    decision = decide([asleep(), awake("us-east")], replace(AT_HOME, client=EU, rules=NO_SPILL))
    assert (decision.action, decision.region, decision.route) == ("hold", "eu-central", "hold-wake")


def test_a_wake_about_to_end_beats_a_busy_region_far_away() -> None:
    busy = awake("us-east", running=4, waiting=9)
    decision = decide([asleep(predicted_wake_seconds=10, wake_elapsed_seconds=8), busy], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region) == ("hold", "eu-central")


def test_a_loaded_home_spills_by_score() -> None:
    decision = decide([awake(running=4, waiting=20), awake("us-east")], replace(AT_HOME, client=EU))
    assert (decision.region, decision.route, decision.wake) == ("us-east", "spill-load", ())


def test_a_full_home_holds_when_it_may_not_spill() -> None:
    decision = decide(
        [awake(free_requests=0, running=4), awake("us-east")], replace(AT_HOME, client=EU, rules=NO_SPILL)
    )
    assert (decision.action, decision.region, decision.route) == ("hold", "eu-central", "hold-load")


def test_a_home_whose_pods_all_fail_spills_or_is_waited_for() -> None:
    failing = awake(free_requests=0, circuit_left_seconds=8.0)
    alone = decide([failing], replace(AT_HOME, client=EU))
    assert (alone.action, alone.route, alone.wake) == ("hold", "hold-circuit", ())
    other = decide([failing, awake("us-east")], replace(AT_HOME, client=EU))
    assert (other.action, other.region, other.route) == ("serve", "us-east", "spill-load")
    tried = decide([awake(free_requests=1)], replace(AT_HOME, client=EU))
    assert (tried.action, tried.route) == ("serve", "nearest"), "its time is over"


def test_a_failed_home_fails_over_and_is_still_asked_to_wake() -> None:
    failed = asleep(failure="weights are truncated")
    decision = decide([failed, awake("us-east")], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.route) == ("serve", "us-east", "failover")
    assert decision.wake == ("eu-central",)


def test_a_failed_region_alone_refuses_with_its_reason() -> None:
    decision = decide([asleep(failure="weights are truncated", retry_after_seconds=600)], AT_HOME)
    assert (decision.action, decision.route, decision.retry_after_seconds) == ("refuse", "failed", 60)
    assert decision.wake_estimate_seconds == 600
    assert "weights are truncated" in decision.message
    assert decision.wake == ("eu-central",), "demand is what starts the next try"


def test_a_region_that_failed_but_serves_again_is_used() -> None:
    assert decide([awake(failure="an earlier failure")], AT_HOME).action == "serve"


def test_a_region_falling_asleep_is_woken_before_it_is_used() -> None:
    decision = decide([awake(is_falling_asleep=True)], AT_HOME)
    assert (decision.action, decision.route, decision.wake) == ("hold", "hold-wake", ("eu-central",))


def test_a_full_hold_queue_refuses_or_spills() -> None:
    full = asleep(held=3, free_places=0)
    route_request = replace(AT_HOME, client=EU)
    assert decide([full], route_request).route == "hold-full"
    assert decide([full, awake("us-east")], route_request).region == "us-east"


def test_a_suspended_region_or_model_is_named() -> None:
    assert decide([awake()], replace(AT_HOME, is_model_suspended=True)).route == "suspended"
    assert decide([awake(is_suspended=True)], AT_HOME).route == "suspended"
    assert decide([awake(is_suspended=True), awake("us-east")], AT_HOME).region == "us-east"


def test_a_region_serves_only_the_countries_it_may() -> None:
    german = awake(allowed_countries=("DE",))
    assert decide([german], replace(AT_HOME, client_country="DE")).action == "serve"
    for country in ("FR", None):
        assert decide([german], replace(AT_HOME, client_country=country)).route == "forbidden"


def test_a_model_without_regions_refuses() -> None:
    assert decide([], AT_HOME).route == "no-region"


def test_a_client_without_a_location_is_assumed_at_the_gateway() -> None:
    places = (("us-east", US), ("eu-central", EU))
    assert expected_rtts_seconds(None, places, "eu-central") == expected_rtts_seconds(EU, places, "eu-central")
    assert decide([awake("us-east"), awake()], AT_HOME).region == "eu-central"


def test_price_decides_between_equals() -> None:
    views = [awake("a", price_per_gpu_hour=2.0), awake("b", price_per_gpu_hour=1.0)]
    assert decide(views, replace(AT_HOME, client=EU)).region == "b"


def test_queue_wait_grows_with_load() -> None:
    waits = [queue_wait(awake(running=running)) for running in range(5)]
    assert waits == sorted(waits)
    assert waits[0] == 0
    assert queue_wait(awake(running=4, waiting=4)) > waits[-1]


def test_a_known_free_row_is_no_wait_and_an_uncertain_one_is() -> None:
    assert queue_wait(awake(running=3)) == 0
    waits = [queue_wait(awake(running=3, spread=spread)) for spread in (0.0, 0.5, 1.0, 2.0)]
    assert waits == sorted(set(waits))
    turn_seconds = awake().service_seconds / 4
    assert queue_wait(awake(running=4)) == turn_seconds
    # The mean of max(0, X) of a standard normal X.
    assert math.isclose(queue_wait(awake(running=3, spread=1.0)), turn_seconds / math.sqrt(2 * math.pi))


def test_requests_that_have_probably_ended_since_the_reports_are_not_waited_for() -> None:
    assert queue_wait(awake(running=4, waiting=2, drift=-3.0)) == 0
    assert queue_wait(awake(running=3, drift=2.0)) == queue_wait(awake(running=4, waiting=1))


@given(st.integers(1, 64), st.integers(0, 100), st.floats(0, 100), st.floats(-50, 50), st.floats(0.01, 100))
def test_a_queue_wait_is_finite_and_no_less_than_the_mean_says(
    rows: int, requests: int, spread: float, drift: float, service_seconds: float
) -> None:
    view = awake(
        rows=rows,
        running=min(rows, requests),
        waiting=max(0, requests - rows),
        spread=spread,
        drift=drift,
        service_seconds=service_seconds,
    )
    surely = max(0.0, requests + drift + 1 - rows) * service_seconds / rows
    assert surely - 1e-6 <= queue_wait(view) < 1e6


def filtered_by(view: RegionView, request: RouteRequest) -> str | None:
    """The first filter that excludes the region, by the definition."""
    excluded = next((reason for check in EXCLUDING if (reason := check(view))), None)
    unable = next((reason for check in DISABLING if (reason := check(view))), None)
    full = not view.is_available and view.free_places <= 0 and not request.is_admitted
    forbidden = bool(view.allowed_countries) and request.client_country not in view.allowed_countries
    return excluded or ("forbidden" if forbidden else None) or unable or ("hold-full" if full else None)


def score(view: RegionView, rtt_seconds: float) -> float:
    wait_seconds = 0.0
    for part in SCORES:
        wait_seconds += part(view)
    return rtt_seconds + wait_seconds


names = st.sampled_from(["eu-central", "us-east", "ap-south", "sa-east"])
rtts = st.lists(st.floats(0, 0.5), min_size=8, max_size=8).map(tuple)
region_views = st.builds(
    RegionView,
    name=names,
    is_reachable=st.booleans(),
    is_suspended=st.booleans(),
    allowed_countries=st.sampled_from([(), ("DE",), ("US", "DE")]),
    failure=st.none() | st.just("broken"),
    price_per_gpu_hour=st.floats(0, 10),
    ready_pods=st.integers(0, 3),
    rows=st.integers(0, 64),
    running=st.integers(0, 80),
    waiting=st.integers(0, 50),
    free_requests=st.integers(0, 5),
    service_seconds=st.floats(0.01, 100),
    is_falling_asleep=st.booleans(),
    wake_elapsed_seconds=st.floats(0, 1000),
    predicted_wake_seconds=st.floats(0.1, 1000),
    held=st.integers(0, 5),
    free_places=st.integers(0, 2),
)
snapshots = st.lists(region_views, max_size=4, unique_by=lambda view: view.name)
requests = st.builds(
    RouteRequest,
    gateway_region=names,
    rtt_seconds=rtts,
    client_country=st.sampled_from([None, "DE", "FR"]),
    rules=st.builds(GatewayRules, spill=st.booleans()),
    is_model_suspended=st.booleans(),
)


@given(snapshots, requests)
def test_a_filtered_region_is_never_picked(views: list[RegionView], request: RouteRequest) -> None:
    decision = decide(views, request)
    if decision.action == "refuse":
        return
    chosen = next(view for view in views if view.name == decision.region)
    assert filtered_by(chosen, request) is None
    assert (decision.action == "serve") == chosen.is_available


@given(snapshots, requests)
def test_deciding_twice_gives_the_same(views: list[RegionView], request: RouteRequest) -> None:
    assert asdict(decide(views, request)) == asdict(decide(views, request))


@given(snapshots, requests)
def test_only_home_and_the_nearest_are_woken(views: list[RegionView], request: RouteRequest) -> None:
    woken = decide(views, request).wake
    assert len(woken) <= 2
    for name in woken:
        view = next(view for view in views if view.name == name)
        assert not view.is_awake
        assert not view.is_suspended


@given(snapshots, requests)
def test_a_refusal_means_that_no_region_could_serve(views: list[RegionView], request: RouteRequest) -> None:
    decision = decide(views, request)
    if decision.action == "refuse" and request.rules.spill and not request.is_model_suspended:
        assert all(filtered_by(view, request) for view in views)
        assert 1 <= (decision.retry_after_seconds or 0) <= 60


@given(snapshots, requests)
def test_waiting_never_beats_a_region_that_answers_sooner(views: list[RegionView], request: RouteRequest) -> None:
    decision = decide(views, request)
    if decision.action != "hold" or not request.rules.spill:
        return
    held_for = next(view for view in views if view.name == decision.region)
    for rtt_seconds, view in zip(request.rtt_seconds, views, strict=False):
        if view.is_available and filtered_by(view, request) is None:
            assert score(held_for, request.rtt_seconds[views.index(held_for)]) <= score(view, rtt_seconds)


def plain_home(near: list[RegionView], rtt: dict[str, float]) -> RegionView:
    """The nearest region, or one that is available and not nearly farther, when the nearest sleeps."""
    first = near[0]
    farthest = rtt[first.name] + max(0.030, 0.15 * rtt[first.name])
    close = [view for view in near if view.is_available and rtt[view.name] <= farthest]
    return first if first.is_awake or not close else close[0]


def plainly_decided(views: list[RegionView], request: RouteRequest) -> tuple[str, str | None]:
    """Action and region by the definition: every filter and score of every region, each time it is needed."""
    if request.is_model_suspended:
        return "refuse", None
    rtt = {view.name: rtt_seconds for view, rtt_seconds in zip(views, request.rtt_seconds, strict=False)}
    near = sorted(views, key=lambda view: (rtt[view.name], view.name))
    existing = [view for view in near if filtered_by(view, request) not in {"suspended", "forbidden", "unreachable"}]
    able = [view for view in existing if filtered_by(view, request) is None]
    able = able if request.rules.spill else [view for view in able if view is existing[0]]
    if not able:
        if not existing:
            return "refuse", None
        return "refuse", (plain_home(existing, rtt) if request.rules.spill else existing[0]).name
    home = plain_home(able, rtt)
    candidates = [view for view in able if view is home or (request.rules.spill and view.is_available)]
    chosen = min(candidates, key=lambda view: (score(view, rtt[view.name]), view.name))
    return "serve" if chosen.is_available else "hold", chosen.name


any_view = st.builds(
    RegionView,
    name=st.sampled_from([f"r{number}" for number in range(32)]),
    is_reachable=st.booleans(),
    is_suspended=st.sampled_from([False, False, True]),
    allowed_countries=st.sampled_from([(), (), ("DE",), ("US",)]),
    failure=st.sampled_from([None, None, "bad weights"]),
    price_per_gpu_hour=st.sampled_from([0.0, 1.01, 3.5]),
    ready_pods=st.integers(0, 2),
    rows=st.integers(0, 64),
    running=st.integers(0, 64),
    waiting=st.integers(0, 9),
    free_requests=st.integers(0, 3),
    is_falling_asleep=st.booleans(),
    held=st.integers(0, 3),
    free_places=st.integers(0, 2),
)
any_request = st.builds(
    RouteRequest,
    gateway_region=st.just("r1"),
    rtt_seconds=rtts,
    client_country=st.sampled_from([None, "DE", "US"]),
    rules=st.builds(GatewayRules, spill=st.booleans()),
    is_model_suspended=st.sampled_from([False, False, True]),
    is_admitted=st.booleans(),
)


@given(st.lists(any_view, max_size=8, unique_by=lambda view: view.name), any_request)
def test_the_decision_is_that_of_the_definition(views: list[RegionView], request: RouteRequest) -> None:
    decision = decide(views, request)
    assert (decision.action, decision.region) == plainly_decided(views, request)


@given(st.lists(any_view, max_size=8, unique_by=lambda view: view.name), any_request)
def test_the_explanation_of_a_region_is_its_score_or_its_first_filter(
    views: list[RegionView], request: RouteRequest
) -> None:
    rtts_seconds = request.rtt_seconds[: len(views)]
    rows = explain(stand_all(views), replace(request, rtt_seconds=rtts_seconds))
    for view, rtt_seconds, row in zip(views, rtts_seconds, rows, strict=True):
        reason = filtered_by(view, request)
        assert row == (view.name, None if reason else round(score(view, rtt_seconds), 6), reason)
