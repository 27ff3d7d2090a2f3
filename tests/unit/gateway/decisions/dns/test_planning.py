"""From reports to a problem, and the chain of fallbacks."""

from dataclasses import replace

import pytest
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup, group_of
from voxfleet_gateway.decisions.dns.demand_shares.demand import GroupWeight
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import RegionSupply, RoutingSolution
from voxfleet_gateway.decisions.dns.leaf_exploration import Exploration
from voxfleet_gateway.decisions.dns.planning import (
    ASLEEP_SECONDS,
    FRESH_SECONDS,
    LAST_GOOD_SECONDS,
    ModelReport,
    ModelView,
    RegionState,
    SolvedModel,
    fallback_of,
)
from voxfleet_gateway.decisions.dns.served_models import ServedModel, ServedRegion, served_model
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.region_standing import PRICE_SECONDS_PER_UNIT
from voxfleet_gateway.regions import Location, ModelEntry

ASIA = ServedRegion("asia", Location(31.2, 121.5), (), 2.0, 64)
EUROPE = ServedRegion("europe", Location(50.1, 8.7), (), 0.0, 64)
MODEL = ServedModel("voices", "narrator", "narrator", (ASIA, EUROPE))
SHANGHAI = AddressFacts("", "CN", None, 31.2, 121.5)
CN = group_of(SHANGHAI)
WEIGHTS = {CN: GroupWeight(3.0, SHANGHAI), ClientGroup("DE"): GroupWeight(1.0, AddressFacts("", "DE"))}


def reporting(ready_slots: float, open_requests: float = 0, admission: float = 1.0) -> RegionState:
    return RegionState(
        admission, is_reporting=True, models={"voices/narrator": ModelReport(ready_slots, open_requests)}
    )


def test_demand_is_what_regions_report_shared_out_by_queries() -> None:
    problem = ModelView(MODEL, {"asia": reporting(32, 10), "europe": reporting(16, 2)}).problem(WEIGHTS, None)
    assert problem is not None
    assert [(str(each.group), each.open_requests) for each in problem.groups] == [("CN@3,8", 9.0), ("DE", 3.0)]
    assert problem.groups[0].rtt_seconds[0] == pytest.approx(0.0263)
    assert problem.regions == (RegionSupply("asia", 32, 2 * PRICE_SECONDS_PER_UNIT), RegionSupply("europe", 16, 0.0))


def test_arrivals_by_country_share_demand_out_between_countries() -> None:
    report = ModelReport(32, 12, {"CN": 1.0, "DE": 2.0, "FR": 9.0})
    state = RegionState(1.0, is_reporting=True, models={"voices/narrator": report})
    problem = ModelView(MODEL, {"asia": state}).problem(WEIGHTS, None)
    assert problem is not None
    assert [(str(each.group), each.open_requests) for each in problem.groups] == [("CN@3,8", 4.0), ("DE", 8.0)]


def test_a_region_that_is_asleep_supplies_what_it_may_wake_at_a_charge() -> None:
    problem = ModelView(MODEL, {"asia": reporting(32), "europe": RegionState(1.0, is_reporting=True)}).problem(
        WEIGHTS, None
    )
    assert problem is not None
    assert problem.regions[1] == RegionSupply("europe", 64, ASLEEP_SECONDS)


def test_a_region_that_is_out_supplies_nothing_and_one_that_ramps_up_a_part() -> None:
    states = {"asia": RegionState(admission=0.0), "europe": reporting(16, admission=0.25)}
    problem = ModelView(MODEL, states).problem(WEIGHTS, None)
    assert problem is not None
    assert [region.slots for region in problem.regions] == [0, 4]
    assert [each.rtt_seconds[0] for each in problem.groups] == [None, None]


def test_a_region_without_reports_supplies_what_is_configured() -> None:
    problem = ModelView(MODEL, {"asia": reporting(32)}).problem(WEIGHTS, None)
    assert problem is not None
    assert problem.regions[1] == RegionSupply("europe", 64, 0.0)


def test_countries_that_a_region_may_not_serve_are_kept_away() -> None:
    closed = replace(MODEL, regions=(replace(ASIA, countries=("JP",)), EUROPE))
    problem = ModelView(closed, {"asia": reporting(32)}).problem(WEIGHTS, None)
    assert problem is not None
    assert [each.rtt_seconds[0] for each in problem.groups] == [None, None]


@pytest.mark.parametrize("states", [{}, {"asia": RegionState(admission=0.0)}])
def test_without_a_fresh_report_there_is_no_new_problem(states: dict[str, RegionState]) -> None:
    assert ModelView(MODEL, states).problem(WEIGHTS, None) is None
    assert ModelView(MODEL, {"asia": reporting(1)}).problem({}, None) is None


def test_shares_in_use_are_part_of_the_problem_for_regions_that_still_exist() -> None:
    solved = SolvedModel(RoutingSolution({CN: {"asia": 0.5, "gone": 0.5}, ClientGroup("DE"): {"gone": 1.0}}), 0)
    problem = ModelView(MODEL, {"asia": reporting(1)}).problem(WEIGHTS, solved)
    assert problem is not None
    assert problem.previous == {CN: {"asia": 0.5}}


@pytest.mark.parametrize(
    ("age", "region", "fallback"),
    [
        (0, "europe", "none"),
        (FRESH_SECONDS, "europe", "none"),
        (FRESH_SECONDS + 1, "europe", "last-good"),
        (LAST_GOOD_SECONDS, "europe", "last-good"),
        (LAST_GOOD_SECONDS + 1, "asia", "geography"),
        (None, "asia", "geography"),
    ],
)
def test_the_chain_of_fallbacks(age: float | None, region: str, fallback: str) -> None:
    solved = None if age is None else SolvedModel(RoutingSolution({CN: {"europe": 1.0}}), 1000 - age)
    plan = ModelView(MODEL).plan(solved, "europe", 1000)
    assert plan.choose(SHANGHAI, b"1").region == region
    assert fallback_of(MODEL, solved, 1000) == fallback


def test_without_any_location_the_default_region_is_left() -> None:
    flat = replace(MODEL, regions=(replace(ASIA, location=None), replace(EUROPE, location=None)))
    assert fallback_of(flat, None, 0) == "static"
    assert ModelView(flat).plan(None, "europe", 0).choose(SHANGHAI, b"1").region == "europe"
    assert ModelView(flat).plan(None, "europe", 0).untailored() == "europe"


def test_a_suspended_region_is_not_used_unless_every_one_is() -> None:
    asleep = replace(MODEL, regions=(replace(ASIA, is_suspended=True), EUROPE))
    assert [region.name for region in asleep.usable_regions] == ["europe"]
    both = replace(MODEL, regions=tuple(replace(region, is_suspended=True) for region in MODEL.regions))
    assert both.usable_regions == both.regions


@pytest.mark.parametrize(
    ("state", "has_room"),
    [
        (reporting(32, 16), True),
        (reporting(32, 17), False),
        (reporting(0), False),  # asleep: it would be woken
        (RegionState(), False),  # it does not report
        (RegionState(1.0, is_reporting=True), False),  # its report has no such model
        (replace(reporting(32), is_reporting=False), False),  # the report is old
    ],
)
def test_a_region_has_room_while_it_reports_ready_slots_half_of_which_are_free(
    state: RegionState,
    has_room: bool,  # noqa: FBT001
) -> None:
    view = ModelView(MODEL, {"asia": state})
    assert [region.has_room for region in view.regions] == [has_room, False]
    suspended = replace(MODEL, regions=(replace(ASIA, is_suspended=True),))
    assert not ModelView(suspended, {"asia": state}).regions[0].has_room


def test_a_plan_has_the_exploration_that_is_given() -> None:
    exploration = Exploration.at(6000, 0.5)
    assert ModelView(MODEL).plan(None, "europe", 0, exploration).exploration == exploration
    assert ModelView(MODEL).plan(None, "europe", 0).exploration.share == 0


def test_a_registry_entry_is_read() -> None:
    entry = ModelEntry.model_validate(
        {
            "schema": "voxfleet.dev/registry/v1",
            "namespace": "voices",
            "name": "n",
            "model": "taken",
            "owns_model_name": False,
            "serving": {"max_batch_size": 16},
            "regions": [{"name": "asia", "latitude": 1, "longitude": 2, "max_replicas": 3, "allowed_clients": ["CN"]}],
        }
    )
    model = served_model(entry)
    assert (model.full_name, model.model) == ("voices/n", "n")
    assert model.regions == (ServedRegion("asia", Location(1, 2), ("CN",), 0.0, 48.0),)
