"""Counts decay by half in five minutes, and stay bounded."""

import pytest
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup, group_of
from voxfleet_gateway.decisions.dns.demand_shares.demand import HALF_LIFE_SECONDS, MAX_COUNTED, MAX_GROUPS, QueryCounts
from voxfleet_gateway.decisions.location.address_facts import AddressFacts

FACTS = AddressFacts("20.0.0.0/8", "CN", None, 31.2, 121.5)


def test_older_queries_count_less() -> None:
    counts = QueryCounts()
    counts.add(group_of(FACTS), FACTS, 8)
    counts.decay(HALF_LIFE_SECONDS)
    counts.add(group_of(FACTS), FACTS, 1)
    assert counts.largest()[group_of(FACTS)].weight == pytest.approx(5)


def test_a_group_that_stops_to_query_is_forgotten() -> None:
    counts = QueryCounts()
    counts.add(group_of(FACTS), FACTS)
    counts.decay(20 * HALF_LIFE_SECONDS)
    assert counts.largest() == {}


def test_the_number_of_groups_is_bounded() -> None:
    counts = QueryCounts()
    for index in range(2 * MAX_COUNTED):
        counts.add(ClientGroup("", index, index), FACTS, index + 1)
    assert len(counts.weights) == MAX_COUNTED
    largest = counts.largest()
    assert len(largest) == MAX_GROUPS
    assert min(each.weight for each in largest.values()) == MAX_COUNTED - MAX_GROUPS + 1


def test_a_group_is_a_countrys_part_of_a_cell() -> None:
    assert group_of(FACTS) == ClientGroup("CN", 3, 8)
    assert str(group_of(FACTS)) == "CN@3,8"
    assert group_of(AddressFacts("", "CN")) == ClientGroup("CN")
    assert str(group_of(AddressFacts(""))) == "??"
    assert group_of(AddressFacts("", "US", None, 40.7, -74.0)) != group_of(AddressFacts("", "US", None, 37.4, -122.1))
