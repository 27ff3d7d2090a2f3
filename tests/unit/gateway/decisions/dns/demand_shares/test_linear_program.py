"""Nearest while there is room, capacity kept, overload shared in proportion, moves for a gain alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.demand_shares.linear_program import solve
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import (
    RHO_MAX,
    GroupDemand,
    RegionSupply,
    RoutingProblem,
    RoutingSolution,
)

CN, DE, US = ClientGroup("CN"), ClientGroup("DE"), ClientGroup("US")
ASIA, EUROPE = RegionSupply("asia", 10), RegionSupply("europe", 10)


def solved(*groups: GroupDemand, regions: tuple[RegionSupply, ...] = (ASIA, EUROPE), **more: object) -> RoutingSolution:
    solution = solve(RoutingProblem(regions, groups, **more))  # type: ignore[arg-type]
    assert solution is not None
    return solution


def test_each_group_gets_its_nearest_region_while_there_is_room() -> None:
    solution = solved(GroupDemand(CN, 3, (0.03, 0.2)), GroupDemand(DE, 3, (0.2, 0.03)))
    assert solution.shares == {CN: {"asia": 1.0}, DE: {"europe": 1.0}}
    assert solution.overload == 1.0
    assert solution.cost_seconds == pytest.approx(0.03)


def test_demand_beyond_a_regions_capacity_goes_to_the_next() -> None:
    solution = solved(GroupDemand(CN, 12, (0.03, 0.2)))
    assert solution.shares[CN]["asia"] == pytest.approx(10 * RHO_MAX / 12, abs=1e-3)


def test_the_group_that_loses_least_makes_room() -> None:
    near, far = GroupDemand(CN, 8, (0.03, 0.3)), GroupDemand(US, 8, (0.15, 0.16))
    solution = solved(near, far)
    assert solution.shares == {CN: {"asia": 1.0}, US: {"europe": 1.0}}


def test_overload_is_shared_in_proportion_to_capacity() -> None:
    solution = solved(GroupDemand(CN, 60, (0.03, 0.2)), regions=(RegionSupply("asia", 30), RegionSupply("europe", 10)))
    assert solution.shares[CN] == pytest.approx({"asia": 0.75, "europe": 0.25}, abs=1e-3)
    assert solution.overload == pytest.approx(60 / (40 * RHO_MAX), abs=1e-2)


def test_price_decides_between_equal_round_trips() -> None:
    dear = RegionSupply("dear", 10, cost_seconds=0.01)
    assert solved(GroupDemand(DE, 1, (0.05, 0.05)), regions=(dear, EUROPE)).shares == {DE: {"europe": 1.0}}


@pytest.mark.parametrize(
    ("rtt_here", "rtt_there", "region"),
    [
        (0.2, 0.185, "asia"),  # 15 % of 200 ms are 30 ms
        (0.2, 0.172, "asia"),
        (0.2, 0.165, "europe"),
        (0.05, 0.022, "asia"),  # 30 ms are the least
        (0.05, 0.018, "europe"),
        (0.4, 0.345, "asia"),  # 15 % of 400 ms are 60 ms
        (0.4, 0.335, "europe"),
    ],
)
def test_a_group_moves_for_a_gain_above_the_threshold(rtt_here: float, rtt_there: float, region: str) -> None:
    solution = solved(GroupDemand(DE, 1, (rtt_here, rtt_there)), previous={DE: {"asia": 1.0}})
    assert solution.shares[DE] == {region: 1.0}


def test_capacity_moves_a_group_without_a_gain() -> None:
    """The region it has lost three quarters of its slots."""
    problem_regions = (RegionSupply("asia", 2.5), EUROPE)
    solution = solved(GroupDemand(CN, 4, (0.03, 0.2)), regions=problem_regions, previous={CN: {"asia": 1.0}})
    assert solution.shares[CN]["asia"] == pytest.approx(0.5, abs=1e-3)


def test_a_group_without_demand_gets_its_nearest_region() -> None:
    solution = solved(GroupDemand(CN, 9, (0.03, 0.2)), GroupDemand(DE, 0, (0.2, 0.03)))
    assert solution.shares[DE] == {"europe": 1.0}


def test_no_demand_at_all_is_solved_by_round_trips() -> None:
    assert solved(GroupDemand(CN, 0, (0.03, 0.2))).shares == {CN: {"asia": 1.0}}


def test_a_region_that_a_group_may_not_use_gets_none_of_it() -> None:
    assert solved(GroupDemand(CN, 20, (None, 0.2))).shares == {CN: {"europe": 1.0}}


def test_without_capacity_there_is_no_solution() -> None:
    empty = (RegionSupply("asia", 0), RegionSupply("europe", 0))
    assert solve(RoutingProblem(empty, (GroupDemand(CN, 1, (0.03, 0.2)),))) is None
    assert solve(RoutingProblem((ASIA,), (GroupDemand(CN, 1, (None,)),))) is None
    assert solve(RoutingProblem((ASIA,), ())) is None


@st.composite
def problems(draw: st.DrawFn) -> RoutingProblem:
    count = draw(st.integers(1, 4))
    regions = tuple(
        RegionSupply(f"r{index}", draw(st.sampled_from([0, 1, 8, 64])), draw(st.sampled_from([0.0, 0.02, 0.15])))
        for index in range(count)
    )
    names = [region.name for region in regions]
    groups = []
    previous = {}
    for index in range(draw(st.integers(1, 6))):
        group = ClientGroup(f"{index:02}")
        rtts = tuple(draw(st.one_of(st.none(), st.floats(0.005, 0.4))) for _ in regions)
        groups.append(GroupDemand(group, draw(st.sampled_from([0, 0.5, 3, 40, 1000])), rtts))
        if draw(st.booleans()):
            previous[group] = {draw(st.sampled_from(names)): 1.0}
    return RoutingProblem(regions, tuple(groups), previous)


@settings(max_examples=40, deadline=None)
@given(problems())
def test_shares_are_whole_allowed_and_within_the_capacity_or_the_stated_overload(problem: RoutingProblem) -> None:
    solution = solve(problem)
    if solution is None:
        usable = [region.slots > 0 for region in problem.regions]
        assert any(
            not any(may and rtt is not None for may, rtt in zip(usable, each.rtt_seconds, strict=True))
            for each in problem.groups
        )
        return
    loads = dict.fromkeys((region.name for region in problem.regions), 0.0)
    for each in problem.groups:
        shares = solution.shares[each.group]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        for region, rtt in zip(problem.regions, each.rtt_seconds, strict=True):
            part = shares.get(region.name, 0)
            assert part == 0 or (rtt is not None and region.slots > 0)
            loads[region.name] += part * each.open_requests
    whole = sum(each.open_requests for each in problem.groups)
    for region in problem.regions:
        assert loads[region.name] <= region.slots * RHO_MAX * solution.overload + 0.01 * whole + 1e-6


def test_the_same_problem_again_moves_no_group() -> None:
    first = solved(GroupDemand(CN, 12, (0.03, 0.2)), GroupDemand(DE, 3, (0.2, 0.03)))
    again = solved(GroupDemand(CN, 12, (0.03, 0.2)), GroupDemand(DE, 3, (0.2, 0.03)), previous=first.shares)
    assert again.shares[CN] == pytest.approx(first.shares[CN], abs=1e-3)
    assert again.shares[DE] == first.shares[DE]
