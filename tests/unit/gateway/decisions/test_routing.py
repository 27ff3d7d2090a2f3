"""The decision: which region serves a request, when it is held, and why."""

from dataclasses import asdict, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.client_location import Location
from voxfleet_gateway.decisions.routing import (
    FILTERS,
    RouteRequest,
    decide,
    filtered_by,
    network_rtt,
    queue_wait,
    score,
)
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.regions import GatewayRules

EU, US = Location(50.11, 8.68), Location(39.04, -77.49)
AT_HOME = RouteRequest("eu-central")
NO_SPILL = GatewayRules(spill=False)


def awake(name: str = "eu-central", location: Location = EU, **fields: Any) -> RegionView:
    return replace(RegionView(name, location, ready_pods=1, rows=4, free_requests=8), **fields)


def asleep(name: str = "eu-central", location: Location = EU, **fields: Any) -> RegionView:
    return replace(RegionView(name, location), **fields)


def test_the_nearest_awake_region_serves() -> None:
    decision = decide([awake("us-east", US), awake()], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.route, decision.wake) == ("serve", "eu-central", "nearest", ())


def test_both_asleep_wakes_home_only() -> None:
    decision = decide([asleep(), asleep("us-east", US)], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.wake) == ("hold", "eu-central", ("eu-central",))


def test_a_faster_wake_in_another_region_does_not_attract_requests() -> None:
    views = [asleep(predicted_wake_seconds=60), asleep("us-east", US, predicted_wake_seconds=5)]
    assert decide(views, replace(AT_HOME, client=EU)).region == "eu-central"


def test_a_sleeping_home_spills_and_wakes_in_the_background() -> None:
    decision = decide([asleep(), awake("us-east", US)], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region, decision.route) == ("serve", "us-east", "spill-wake")
    assert decision.wake == ("eu-central",)


def test_without_spill_the_request_waits_for_home() -> None:
    decision = decide([asleep(), awake("us-east", US)], replace(AT_HOME, client=EU, rules=NO_SPILL))
    assert (decision.action, decision.region, decision.route) == ("hold", "eu-central", "hold-wake")


def test_a_wake_about_to_end_beats_a_busy_region_far_away() -> None:
    busy = awake("us-east", US, running=4, waiting=9)
    decision = decide([asleep(predicted_wake_seconds=10, wake_elapsed_seconds=8), busy], replace(AT_HOME, client=EU))
    assert (decision.action, decision.region) == ("hold", "eu-central")


def test_a_loaded_home_spills_by_score() -> None:
    decision = decide([awake(running=4, waiting=20), awake("us-east", US)], replace(AT_HOME, client=EU))
    assert (decision.region, decision.route, decision.wake) == ("us-east", "spill-load", ())


def test_a_full_home_holds_when_it_may_not_spill() -> None:
    decision = decide(
        [awake(free_requests=0, running=4), awake("us-east", US)], replace(AT_HOME, client=EU, rules=NO_SPILL)
    )
    assert (decision.action, decision.region, decision.route) == ("hold", "eu-central", "hold-load")


def test_a_failed_home_fails_over_and_is_still_asked_to_wake() -> None:
    failed = asleep(failure="weights are truncated")
    decision = decide([failed, awake("us-east", US)], replace(AT_HOME, client=EU))
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
    full = asleep(held=3)
    route_request = replace(AT_HOME, client=EU, rules=GatewayRules(max_held_requests=3))
    assert decide([full], route_request).route == "hold-full"
    assert decide([full, awake("us-east", US)], route_request).region == "us-east"


def test_a_suspended_region_or_model_is_named() -> None:
    assert decide([awake()], replace(AT_HOME, is_model_suspended=True)).route == "suspended"
    assert decide([awake(is_suspended=True)], AT_HOME).route == "suspended"
    assert decide([awake(is_suspended=True), awake("us-east", US)], AT_HOME).region == "us-east"


def test_a_region_serves_only_the_countries_it_may() -> None:
    german = awake(allowed_countries=("DE",))
    assert decide([german], replace(AT_HOME, client_country="DE")).action == "serve"
    for country in ("FR", None):
        assert decide([german], replace(AT_HOME, client_country=country)).route == "forbidden"


def test_a_model_without_regions_refuses() -> None:
    assert decide([], AT_HOME).route == "no-region"


def test_a_client_without_a_location_is_assumed_at_the_gateway() -> None:
    assert network_rtt(awake(), AT_HOME) < network_rtt(awake("us-east", US), AT_HOME)
    assert decide([awake("us-east", US), awake()], AT_HOME).region == "eu-central"


def test_price_decides_between_equals() -> None:
    views = [awake("a", EU, price_per_gpu_hour=2.0), awake("b", EU, price_per_gpu_hour=1.0)]
    assert decide(views, replace(AT_HOME, client=EU)).region == "b"


def test_queue_wait_grows_with_load() -> None:
    waits = [queue_wait(awake(running=running), AT_HOME) for running in range(5)]
    assert waits == sorted(waits)
    assert waits[0] == 0
    assert queue_wait(awake(running=4, waiting=4), AT_HOME) > waits[-1]


names = st.sampled_from(["eu-central", "us-east", "ap-south", "sa-east"])
coordinates = st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))
region_views = st.builds(
    RegionView,
    name=names,
    location=st.none() | coordinates,
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
)
snapshots = st.lists(region_views, max_size=4, unique_by=lambda view: view.name)
requests = st.builds(
    RouteRequest,
    gateway_region=names,
    client=st.none() | coordinates,
    client_country=st.sampled_from([None, "DE", "FR"]),
    rules=st.builds(GatewayRules, spill=st.booleans(), max_held_requests=st.integers(0, 4)),
    is_model_suspended=st.booleans(),
)


@given(snapshots, requests)
def test_a_filtered_region_is_never_picked(views: list[RegionView], request: RouteRequest) -> None:
    decision = decide(views, request)
    if decision.action == "refuse":
        return
    chosen = next(view for view in views if view.name == decision.region)
    assert filtered_by(chosen, request) is None
    assert not any(check(chosen, request) for check in FILTERS)
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
    for view in views:
        if view.is_available and filtered_by(view, request) is None:
            assert score(held_for, request) <= score(view, request)


def plainly_decided(views: list[RegionView], request: RouteRequest) -> tuple[str, str | None, list[tuple[Any, ...]]]:
    """Action, region and scores by the definition: every filter and score of every region, each time it is needed."""
    scores = [(view.name, filtered_by(view, request)) for view in views]
    rows = [
        (view.name, None if reason else round(score(view, request), 6), reason)
        for view, (_, reason) in zip(views, scores, strict=True)
    ]
    if request.is_model_suspended:
        return "refuse", None, rows
    near = sorted(views, key=lambda view: (network_rtt(view, request), view.name))
    existing = [view for view in near if not any(check(view, request) for check in FILTERS[:3])]
    able = [view for view in existing if filtered_by(view, request) is None]
    able = able if request.rules.spill else [view for view in able if view is existing[0]]
    if not able:
        return "refuse", existing[0].name if existing else None, rows
    candidates = [view for view in able if view is able[0] or (request.rules.spill and view.is_available)]
    chosen = min(candidates, key=lambda view: (score(view, request), view.name))
    return "serve" if chosen.is_available else "hold", chosen.name, rows


places = st.none() | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180))
any_view = st.builds(
    RegionView,
    name=st.sampled_from([f"r{number}" for number in range(32)]),
    location=places,
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
)
any_request = st.builds(
    RouteRequest,
    gateway_region=st.just("r1"),
    client=places,
    client_country=st.sampled_from([None, "DE", "US"]),
    rules=st.builds(GatewayRules, max_held_requests=st.integers(0, 3), spill=st.booleans()),
    is_model_suspended=st.sampled_from([False, False, True]),
    is_admitted=st.booleans(),
)


@given(st.lists(any_view, max_size=8, unique_by=lambda view: view.name), any_request)
def test_each_region_is_evaluated_once_and_the_decision_is_that_of_the_definition(
    views: list[RegionView], request: RouteRequest
) -> None:
    decision = decide(views, request)
    found = (decision.action, decision.region, [tuple(row) for row in decision.scores])
    assert found == plainly_decided(views, request)
