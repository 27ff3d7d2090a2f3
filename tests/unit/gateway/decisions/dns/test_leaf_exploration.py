"""A small share of leaves gets another near region with room, the same one for an epoch, and never an excluded one."""

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import group_of
from voxfleet_gateway.decisions.dns.leaf_exploration import EPOCH_SECONDS, Exploration
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan, PlannedRegion, Rtts
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.regions import Location

BERLIN = AddressFacts("", "DE", None, 52.5, 13.4)
FRANKFURT = PlannedRegion("frankfurt", Location(50.1, 8.7), has_room=True)
PARIS = PlannedRegion("paris", Location(48.9, 2.3), has_room=True)
LONDON = PlannedRegion("london", Location(51.5, -0.1), has_room=True)
ASIA = PlannedRegion("asia", Location(31.2, 121.5), has_room=True)
REGIONS = (FRANKFURT, PARIS, LONDON, ASIA)
LEAVES = [str(network) for network in IPv4Network("20.0.0.0/10").subnets(new_prefix=24)]  # 16,384


def plan(*regions: PlannedRegion, share: float = 1.0, epoch: int = 0, rtts: Rtts | None = None) -> ModelPlan:
    found = ModelPlan(regions or REGIONS, exploration=Exploration(share, epoch))
    return found if rtts is None else replace(found, rtts=rtts)


def tried(of: ModelPlan, leaf: str, facts: AddressFacts = BERLIN) -> str | None:
    choice = of.explore(facts, leaf)
    assert choice is None or (choice.basis == "explored" and choice.is_uniform)
    return None if choice is None else choice.region


@pytest.mark.parametrize("epoch", [0, 1, 2_900_000])
def test_the_share_of_leaves_that_explore_is_the_one_given(epoch: int) -> None:
    found = Counter(tried(plan(share=0.015, epoch=epoch), leaf) for leaf in LEAVES)
    assert 0.01 < 1 - found[None] / len(LEAVES) < 0.02
    assert set(found) == {None, "paris", "london"}  # frankfurt is the nearest, and asia is far
    assert 0.35 < found["paris"] / (found["paris"] + found["london"]) < 0.65


def test_nothing_explores_by_default_or_with_share_0() -> None:
    for of in (ModelPlan(REGIONS), plan(share=0.0), replace(plan(), exploration=Exploration.at(1e9, 0.0))):
        assert not any(tried(of, leaf) for leaf in LEAVES[:1000])


@given(st.floats(0, 4e9), st.floats(0, 1))
def test_a_leaf_keeps_its_answer_within_an_epoch(now_seconds: float, part: float) -> None:
    start = now_seconds // EPOCH_SECONDS * EPOCH_SECONDS
    first, later = Exploration.at(start, 0.5), Exploration.at(start + part * (EPOCH_SECONDS - 1), 0.5)
    assert first == later
    for leaf in LEAVES[:16]:
        of = ModelPlan(REGIONS, exploration=first)
        assert tried(of, leaf) == tried(replace(of, exploration=later), leaf)


def test_other_leaves_explore_in_the_next_epoch() -> None:
    now, then = ({leaf for leaf in LEAVES if tried(plan(share=0.015, epoch=epoch), leaf)} for epoch in (1000, 1001))
    assert len(now & then) < len(now) / 4


excluded = st.sampled_from(
    [
        {"admission": 0.0},
        {"admission": 0.99},
        {"has_room": False},
        {"countries": ("FR",)},
    ]
)
rtts = st.lists(st.floats(0.001, 0.3), min_size=4, max_size=4)


@given(st.lists(st.none() | excluded, min_size=4, max_size=4), rtts, st.sampled_from(LEAVES), st.booleans())
def test_an_excluded_region_is_never_tried(
    exclusions: list[dict[str, object] | None],
    rtt_seconds: list[float],
    leaf: str,
    is_solved: bool,  # noqa: FBT001
) -> None:
    """Whether answers stand on a solution or on geography."""
    regions = tuple(
        replace(region, **change or {})  # type: ignore[arg-type]
        for region, change in zip(REGIONS, exclusions, strict=True)
    )
    rtt_of = dict(zip([region.name for region in regions], rtt_seconds, strict=True))
    of = plan(*regions, rtts=lambda _facts, some: [rtt_of[each.name] for each in some])
    if is_solved:
        of = replace(of, shares={group_of(BERLIN): {"frankfurt": 1.0}})
    found = tried(of, leaf)
    allowed = {region.name for region, change in zip(regions, exclusions, strict=True) if change is None}
    assert found is None or found in allowed


def test_a_region_with_countries_is_not_tried_by_a_client_without_one() -> None:
    """Its gateway would refuse the client, while the other regions serve it."""
    closed = replace(PARIS, countries=("DE",))
    assert {tried(plan(FRANKFURT, closed), leaf) for leaf in LEAVES[:50]} == {"paris"}
    nowhere = replace(BERLIN, country="")
    assert {tried(plan(FRANKFURT, closed), leaf, nowhere) for leaf in LEAVES[:50]} == {None}


def test_the_nearest_region_is_what_the_others_are_compared_with_though_it_is_full() -> None:
    """Else a leaf would try a region that is far from its nearest one, but near another far one."""
    full = replace(FRANKFURT, has_room=False)
    assert {tried(plan(full, ASIA), leaf) for leaf in LEAVES[:50]} == {None}
    assert {tried(plan(full, PARIS), leaf) for leaf in LEAVES[:50]} == {"paris"}


def test_clients_of_unknown_place_explore_nothing() -> None:
    assert {tried(plan(), leaf, AddressFacts("")) for leaf in LEAVES[:50]} == {None}


def test_a_replay_explores_the_same() -> None:
    of = plan(share=0.5, epoch=4_887_000)
    found = "".join((tried(of, f"20.{part}.0.0/16") or "-")[0] for part in range(16))
    assert found == RECORDED


RECORDED = "---lpp-plll----p"
