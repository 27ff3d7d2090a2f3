"""A prefix keeps its region while shares stay, and the chain shares -> geography -> default holds."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan, PlannedRegion
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.regions import Location

ASIA, EUROPE = PlannedRegion("asia", Location(31.2, 121.5)), PlannedRegion("europe", Location(50.1, 8.7))
US = PlannedRegion("us", Location(39.0, -77.5))
REGIONS = (ASIA, EUROPE, US)
SHANGHAI, BERLIN = AddressFacts("", "CN", None, 31.2, 121.5), AddressFacts("", "DE", None, 52.5, 13.4)
NOWHERE = AddressFacts("")
BERLIN_GROUP = ClientGroup("DE", 5, 0)
PREFIXES = [number.to_bytes(4, "big") for number in range(0, 1 << 24, 1 << 12)]


def regions_of(plan: ModelPlan, facts: AddressFacts = BERLIN) -> dict[bytes, str]:
    return {prefix: plan.choose(facts, prefix).region for prefix in PREFIXES}


def test_shares_are_kept_over_many_prefixes() -> None:
    plan = ModelPlan(REGIONS, {BERLIN_GROUP: {"europe": 0.7, "us": 0.3}})
    counts = Counter(regions_of(plan).values())
    assert counts["europe"] / len(PREFIXES) == pytest.approx(0.7, abs=0.03)
    assert set(counts) == {"europe", "us"}


def test_when_shares_change_no_more_prefixes_move_than_have_to() -> None:
    before = regions_of(ModelPlan(REGIONS, {BERLIN_GROUP: {"europe": 0.7, "us": 0.3}}))
    after = regions_of(ModelPlan(REGIONS, {BERLIN_GROUP: {"europe": 0.5, "us": 0.3, "asia": 0.2}}))
    moved = [prefix for prefix in PREFIXES if before[prefix] != after[prefix]]
    assert len(moved) / len(PREFIXES) < 0.27
    assert {before[prefix] for prefix in moved} <= {"europe", "us"}
    out = regions_of(
        ModelPlan((EUROPE, PlannedRegion("us", admission=0.0)), {BERLIN_GROUP: {"europe": 0.7, "us": 0.3}})
    )
    assert all(out[prefix] == before[prefix] for prefix in PREFIXES if before[prefix] == "europe")


@given(st.binary(min_size=4, max_size=16), st.integers(1, 99))
def test_a_growing_share_takes_prefixes_and_gives_none_back(prefix: bytes, percent: int) -> None:
    def region(share: float) -> str:
        return ModelPlan(REGIONS, {BERLIN_GROUP: {"europe": share, "us": 1 - share}}).choose(BERLIN, prefix).region

    if region(percent / 100) == "europe":
        assert region(min(0.999, percent / 100 + 0.2)) == "europe"


def test_without_shares_the_nearest_region_is_chosen() -> None:
    plan = ModelPlan(REGIONS)
    assert plan.choose(SHANGHAI, b"1").region == "asia"
    assert plan.choose(BERLIN, b"1").region == "europe"
    assert plan.choose(BERLIN, b"1").basis == "geography"


def test_a_group_without_shares_gets_its_nearest_region() -> None:
    plan = ModelPlan(REGIONS, {BERLIN_GROUP: {"us": 1.0}})
    assert (plan.choose(BERLIN, b"1").region, plan.choose(SHANGHAI, b"1").region) == ("us", "asia")


def test_an_unknown_place_gets_the_default_region() -> None:
    assert ModelPlan(REGIONS, default_region="us").choose(NOWHERE, b"1").region == "us"
    assert ModelPlan(REGIONS).choose(NOWHERE, b"1").region == "asia"
    assert ModelPlan(REGIONS, default_region="us").choose(NOWHERE, b"1").basis == "default"
    assert ModelPlan(REGIONS, default_region="us").untailored() == "us"


def test_a_region_that_is_out_gets_no_prefix() -> None:
    out = PlannedRegion("europe", EUROPE.location, admission=0.0)
    plan = ModelPlan((ASIA, out, US), {BERLIN_GROUP: {"europe": 1.0}}, "europe")
    assert plan.choose(BERLIN, b"1").region == "us"
    assert plan.untailored() == "asia"


def test_when_every_region_is_out_they_are_used_as_before() -> None:
    plan = ModelPlan(tuple(PlannedRegion(each.name, each.location, 0.0) for each in REGIONS))
    assert plan.choose(BERLIN, b"1").region == "europe"


def test_a_returning_region_gets_a_growing_part_of_its_prefixes() -> None:
    counts = []
    for part in (0.1, 0.5, 1.0):
        plan = ModelPlan((ASIA, PlannedRegion("europe", EUROPE.location, part), US))
        found = regions_of(plan)
        counts.append({prefix for prefix, region in found.items() if region == "europe"})
        assert len(counts[-1]) / len(PREFIXES) == pytest.approx(part, abs=0.03)
        assert plan.choose(BERLIN, b"1").is_uniform == (part == 1.0)
    assert counts[0] <= counts[1] <= counts[2]


def test_a_region_gets_clients_of_its_countries_alone() -> None:
    strict = PlannedRegion("europe", EUROPE.location, countries=("FR",))
    plan = ModelPlan((strict, US), {BERLIN_GROUP: {"europe": 1.0}})
    assert plan.choose(BERLIN, b"1").region == "us"
    assert ModelPlan((strict,)).choose(BERLIN, b"1").region == "europe"  # its gateway says why it refuses


def test_answers_are_the_same_in_every_process() -> None:
    plan = ModelPlan(REGIONS, {BERLIN_GROUP: {"europe": 0.5, "us": 0.5}})
    found = "".join(plan.choose(BERLIN, bytes((20, part, 0, 0))).region[0] for part in range(16))
    assert found == RECORDED


RECORDED = "uueueueueeueueee"
