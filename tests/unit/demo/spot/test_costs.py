"""A bill is the sum of node seconds at their prices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_demo.spot.costs import Bill, PricedNode, saved_ratio

SPOT = PricedNode("a", "spot", 0.36, 1.08)
ON_DEMAND = PricedNode("b", "on-demand", 1.08, 1.08)


def test_an_hour_costs_the_price() -> None:
    bill = Bill()
    for _ in range(60):
        bill.add([SPOT, ON_DEMAND], 60.0)
    assert bill.paid == pytest.approx(0.36 + 1.08)
    assert bill.on_demand == pytest.approx(2 * 1.08)
    assert bill.seconds == {"spot": 3600.0, "on-demand": 3600.0}
    assert bill.always_on(3, 1.08) == pytest.approx(3 * 1.08)


@given(st.lists(st.tuples(st.lists(st.sampled_from([SPOT, ON_DEMAND]), max_size=4), st.floats(0, 60)), max_size=20))
def test_nothing_costs_more_than_on_demand(samples: list[tuple[list[PricedNode], float]]) -> None:
    bill = Bill()
    for nodes, seconds in samples:
        bill.add(nodes, seconds)
    assert 0 <= saved_ratio(bill.paid, bill.on_demand) <= 1 - 0.36 / 1.08 + 1e-9
    assert sum(bill.seconds.values()) <= 4 * bill.elapsed_seconds + 1e-6


def test_nothing_is_saved_where_nothing_is_paid() -> None:
    assert saved_ratio(0.0, 0.0) == 0.0
