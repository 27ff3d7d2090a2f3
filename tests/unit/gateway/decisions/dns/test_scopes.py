"""Scopes partition the addresses: one answer and one scope per block, whatever address of it asks."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup
from voxfleet_gateway.decisions.dns.leaf_exploration import Exploration
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan, PlannedRegion
from voxfleet_gateway.decisions.dns.scopes import MAX_JOINED, Address, Leaf, Network, Scopes, TailoredAnswer
from voxfleet_gateway.decisions.location.address_facts import AddressFacts

REGIONS = (PlannedRegion("asia"), PlannedRegion("europe"), PlannedRegion("us"))
HOME = {"CN": "asia", "JP": "asia", "DE": "europe", "FR": "europe", "US": "us"}
SHARES: Mapping[ClientGroup, Mapping[str, float]] = {
    **{ClientGroup(country): {region: 1.0} for country, region in HOME.items()},
    ClientGroup("BR"): {"us": 0.5, "europe": 0.5},
}

# Every pair of regions is near: all round trips are the same.
EXPLORING = ModelPlan(
    tuple(PlannedRegion(region.name, has_room=True) for region in REGIONS),
    SHARES,
    "us",
    lambda _facts, regions: [0.02] * len(regions),
    Exploration(0.3),
)


class Database:
    """Leaves by network; what no leaf covers belongs to the largest block that has none, as in a MaxMind tree."""

    def __init__(self, leaves: Mapping[str, str]) -> None:
        self.leaves = {ip_network(network): country for network, country in leaves.items()}

    def find(self, address: Address) -> Leaf:
        for network, country in self.leaves.items():
            if address in network:
                return Leaf(AddressFacts(str(network), country), network.prefixlen)
        length = next(
            length
            for length in range(address.max_prefixlen + 1)
            if not any(
                leaf.version == address.version and leaf.overlaps(ip_network((address, length), strict=False))
                for leaf in self.leaves
            )
        )
        return Leaf(AddressFacts(""), length)


def answer(database: Database, client: str, plan: ModelPlan | None = None) -> TailoredAnswer:
    plan = plan or ModelPlan(REGIONS, SHARES, "us")
    return Scopes(database.find, plan.choose, plan.explore).answer(ip_network(client))


def test_the_scope_is_the_databases_leaf() -> None:
    database = Database({"20.0.0.0/12": "CN", "20.16.0.0/12": "DE"})
    assert answer(database, "20.1.2.0/24")[:2] == ("asia", 12)
    assert answer(database, "20.17.2.0/24")[:2] == ("europe", 12)


def test_neighbours_with_one_answer_are_joined() -> None:
    database = Database({"20.0.0.0/12": "CN", "20.16.0.0/12": "JP", "20.32.0.0/11": "DE"})
    assert answer(database, "20.1.2.0/24")[:2] == ("asia", 11)
    assert answer(database, "20.17.2.0/24")[:2] == ("asia", 11)
    assert answer(database, "20.33.2.0/24")[:2] == ("europe", 11)


@pytest.mark.parametrize(
    ("leaf", "other", "client", "scope"),
    [
        ("20.0.0.128/25", "20.0.0.0/25", "20.0.0.0/24", 24),
        ("2a00:1:2::/64", "2a00:1:2:1::/64", "2a00:1:2::/56", 56),
    ],
)
def test_no_scope_is_longer_than_24_and_56(leaf: str, other: str, client: str, scope: int) -> None:
    near = ip_network(client).supernet(new_prefix=scope - 1).subnets(new_prefix=scope)
    blocks = {str(block): "US" for block in near if not ip_network(leaf).overlaps(block)}
    database = Database({leaf: "CN", other: "DE", **blocks})
    assert answer(database, client).scope == scope


def test_a_source_shorter_than_the_leaf_gets_the_longer_scope() -> None:
    """RFC 7871, 7.2.1: so that the resolver learns that a longer prefix would be answered better."""
    database = Database({"20.0.0.0/20": "CN", "20.0.16.0/20": "DE"})
    assert answer(database, "20.0.0.0/16")[:2] == ("asia", 20)


def test_an_unknown_address_gets_the_default_region_and_no_scope_of_0() -> None:
    assert answer(Database({}), "198.51.100.0/24")[:2] == ("us", 1)
    assert answer(Database({"20.0.0.0/12": "CN"}), "198.51.100.0/24")[:2] == ("us", 1)
    assert answer(Database({"20.0.0.0/12": "CN"}), "20.64.0.0/24")[:2] == ("us", 10)


def test_a_group_that_is_shared_out_gets_its_regions_by_parts_of_16() -> None:
    database = Database({"20.0.0.0/8": "BR"})
    found = {answer(database, f"20.{part}.0.0/24").region for part in range(64)}
    assert found == {"us", "europe"}
    scopes = {answer(database, f"20.{part}.0.0/24").scope for part in range(64)}
    assert max(scopes) == 16
    assert min(scopes) >= 12


def test_the_work_for_one_answer_is_bounded() -> None:
    """Neighbours beyond MAX_JOINED are not looked at, however many have the same answer."""
    looked_up = 0
    database = Database({"20.0.0.0/8": "BR"})

    def find(address: Address) -> Leaf:
        nonlocal looked_up
        looked_up += 1
        return database.find(address)

    everything_in_us = ModelPlan(REGIONS, {ClientGroup("BR"): {"us": 1.0, "europe": 1e-9}}, "us")
    Scopes(find, everything_in_us.choose, everything_in_us.explore).answer(ip_network("20.7.0.0/24"))
    assert looked_up <= 2 * MAX_JOINED


@st.composite
def databases(draw: st.DrawFn) -> Database:
    """A tree under 20.0.0.0/8 whose leaves have countries, or none."""
    leaves: dict[str, str] = {}

    def grow(network: Network, depth: int) -> None:
        if depth < 5 and draw(st.booleans()):
            for part in network.subnets(prefixlen_diff=draw(st.sampled_from([1, 1, 2]))):
                grow(part, depth + 1)
        elif (country := draw(st.sampled_from(["", "CN", "JP", "DE", "FR", "BR"]))) != "":
            leaves[str(network)] = country

    grow(ip_network("20.0.0.0/14"), 0)
    return Database(leaves)


plans = st.sampled_from([ModelPlan(REGIONS, SHARES, "us"), EXPLORING])


@settings(max_examples=50, deadline=None)
@given(databases(), plans, st.integers(0, 2**18 - 1), st.integers(0, 2**18 - 1))
def test_every_address_of_a_scope_gets_the_same_answer_and_scope(
    database: Database, plan: ModelPlan, one: int, two: int
) -> None:
    start = int(IPv4Address("20.0.0.0"))
    first = answer(database, f"{IPv4Address(start + one)}/32", plan)
    block = ip_network(f"{IPv4Address(start + one)}/{first.scope}", strict=False)
    assert 1 <= first.scope <= 24
    inside = int(block.network_address) + two % block.num_addresses
    again = answer(database, f"{IPv4Address(inside)}/32", plan)
    assert again[:2] == first[:2]
    assert (again.basis == "explored") == (first.basis == "explored")
    other = answer(database, f"{IPv4Address(start + two)}/32", plan)
    other_block = ip_network(f"{IPv4Address(start + two)}/{other.scope}", strict=False)
    assert other_block == block or not other_block.overlaps(block)


@settings(max_examples=50, deadline=None)
@given(databases(), plans, st.lists(st.integers(0, 2**18 - 1), min_size=2, max_size=12))
def test_kept_blocks_give_the_same_answers(database: Database, plan: ModelPlan, addresses: list[int]) -> None:
    keeping = Scopes(database.find, plan.choose, plan.explore)
    for address in addresses * 2:
        client = f"{IPv4Address(int(IPv4Address('20.0.0.0')) + address)}/32"
        kept, new = keeping.answer(ip_network(client)), answer(database, client, plan)
        assert (kept[:2], kept.facts) == (new[:2], new.facts)
        assert (kept.basis == "explored") == (new.basis == "explored")


@given(databases(), st.integers(0, 2**18 - 1))
def test_what_does_not_explore_is_answered_as_without_exploration(database: Database, address: int) -> None:
    client = f"{IPv4Address(int(IPv4Address('20.0.0.0')) + address)}/32"
    found = answer(database, client, EXPLORING)
    if found.basis != "explored":
        assert found.region == answer(database, client).region


def test_a_leaf_that_explores_is_one_scope_though_its_group_is_shared_out() -> None:
    """And one that is too large does not explore: its parts would each be shared out."""
    always = replace(EXPLORING, exploration=Exploration(1.0))
    database = Database({"20.0.0.0/16": "BR", "20.1.0.0/16": "DE", "30.0.0.0/15": "BR"})
    assert answer(database, "20.0.7.0/24", always).basis == "explored"
    assert answer(database, "20.0.7.0/24", always).scope in {15, 16}
    assert {answer(database, f"20.0.{part}.0/24", always).region for part in range(0, 256, 16)} == {
        answer(database, "20.0.7.0/24", always).region
    }
    assert answer(database, "30.0.7.0/24", always).basis == "solved"


def test_kept_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_gateway.decisions.dns.scopes.MAX_BLOCKS", 4)
    plan = ModelPlan(REGIONS, SHARES, "us")
    keeping = Scopes(Database({"20.0.0.0/8": "BR"}).find, plan.choose, plan.explore)
    for part in range(40):
        keeping.answer(ip_network(f"20.{part}.0.0/24"))
        assert len(keeping.blocks) <= 4


@given(st.integers(0, 2**128 - 1))
def test_ipv6_scopes_hold_too(address: int) -> None:
    database = Database({"2a00::/12": "DE", "2a10::/12": "BR", "2400::/12": "CN"})
    found = answer(database, f"{IPv6Address(address)}/128")
    assert 1 <= found.scope <= 56
    block = ip_network(f"{IPv6Address(address)}/{found.scope}", strict=False)
    for inside in (int(block.network_address), int(block.broadcast_address)):
        assert answer(database, f"{IPv6Address(inside)}/128")[:2] == found[:2]
