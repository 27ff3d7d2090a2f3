"""The ledger in the status: read as it was written, and written seldom."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.cost.ledger import KEPT_MONTHS, Ledger, Rate, RegionMonth, advance, with_rates
from voxfleet_operator.resources.cost import MOST_MONTHS, Cost
from voxfleet_operator.status.cost_status import WRITE_SECONDS, cost_status, to_cost, to_ledger

NOW = 1_795_000_000.25
AWAKE = Rate("eu", on_demand_gpus=1, baseline_gpus=1, on_demand_price=1.01)
ASLEEP = Rate("eu", is_asleep=True, baseline_gpus=1)
ALWAYS = 1e12

amounts = st.floats(0, 1e11)
prices = st.none() | st.integers(0, 10**12).map(lambda millionths: millionths / 1e6)
months = st.builds(
    RegionMonth,
    month=st.sampled_from(["2026-11", "2026-12"]),
    region=st.sampled_from(["eu", "us"]),
    on_demand_seconds=amounts,
    spot_seconds=amounts,
    unpriced_seconds=amounts,
    on_demand_paid=amounts,
    spot_paid=amounts,
    spot_saved=st.floats(-1e11, 1e11),
    asleep_seconds=amounts,
    asleep_cost=amounts,
    baseline_gpus=st.integers(0, 1000),
)
rates = st.builds(
    Rate,
    region=st.just("eu"),
    on_demand_gpus=st.integers(0, 1000),
    spot_gpus=st.integers(0, 1000),
    is_asleep=st.booleans(),
    baseline_gpus=st.integers(0, 1000),
    on_demand_price=prices,
    spot_price=prices,
)


@given(st.lists(months, max_size=4, unique_by=lambda row: (row.month, row.region)), rates)
def test_a_ledger_is_read_as_it_was_written(rows: list[RegionMonth], rate: Rate) -> None:
    ledger = Ledger(NOW, (rate,), {(row.month, row.region): row for row in rows})
    written = Cost.model_validate_json(to_cost(ledger).model_dump_json(by_alias=True, exclude_none=True))
    found = to_ledger(written)
    assert found is not None
    assert (found.as_of, found.rates, found.months.keys()) == (ledger.as_of, ledger.rates, ledger.months.keys())
    for key, row in ledger.months.items():
        for name in RegionMonth.__slots__[2:]:
            assert getattr(found.months[key], name) == pytest.approx(getattr(row, name), abs=1e-3, rel=1e-12)
    assert to_cost(found).months == written.months, "written again it is the same text"


def test_the_largest_ledger_fits_the_schema() -> None:
    text = "^-?[0-9]{1,15}([.][0-9]{1,6})?$"
    year = 366 * 86_400.0
    held = [Rate(f"region-{number}", 500, 500, baseline_gpus=1000, on_demand_price=999_999.0) for number in range(32)]
    cost = to_cost(advance(with_rates(Ledger(NOW), held), NOW + year * 1.2, ALWAYS))
    assert len(cost.months) == KEPT_MONTHS * 32 == MOST_MONTHS
    amounts_of = [cost.gpu_seconds, cost.gpu_seconds_avoided, cost.months[3].on_demand_paid or ""]
    assert all(re.match(text, amount) for amount in amounts_of), amounts_of


def test_asleep_nothing_is_written_again() -> None:
    first = to_cost(Ledger(NOW, (ASLEEP,)))
    later = advance(Ledger(NOW, (ASLEEP,)), NOW + 30 * 86_400, ALWAYS)
    assert cost_status(first, later) is first


def test_in_use_it_is_written_every_ten_minutes() -> None:
    ledger = Ledger(NOW, (AWAKE,))
    first = to_cost(ledger)
    early = advance(ledger, NOW + WRITE_SECONDS - 1, ALWAYS)
    assert cost_status(first, early) is first
    due = cost_status(first, advance(ledger, NOW + WRITE_SECONDS, ALWAYS))
    assert (due.gpu_seconds, due.saved_ratio) == ("600", "0")


def test_what_changes_the_rates_is_written() -> None:
    first = to_cost(Ledger(NOW, (ASLEEP,)))
    woken = with_rates(advance(Ledger(NOW, (ASLEEP,)), NOW + 50, ALWAYS), [AWAKE])
    written = cost_status(first, woken)
    assert (written.gpu_seconds_avoided, written.rates[0].on_demand_gpus) == ("50", 1)
    assert cost_status(None, woken) == written


def test_a_status_from_the_future_is_replaced() -> None:
    first = to_cost(Ledger(NOW + 3600, (ASLEEP,)))
    assert to_ledger(cost_status(first, Ledger(NOW, (ASLEEP,)))) == Ledger(NOW, (ASLEEP,))


def test_an_older_crd_that_prunes_the_rates_does_not_cause_write_after_write() -> None:
    ledger = Ledger(NOW, (ASLEEP,))
    pruned = to_cost(ledger).model_copy(update={"rates": [], "months": []})
    assert cost_status(pruned, advance(ledger, NOW + WRITE_SECONDS - 1, ALWAYS)) is pruned
    assert cost_status(pruned, advance(ledger, NOW + WRITE_SECONDS, ALWAYS)).rates


def test_no_ledger() -> None:
    assert to_ledger(None) is None
    broken = Cost(as_of="never", gpu_seconds="1", gpu_seconds_avoided="1", saved_ratio="0")
    assert to_ledger(broken) is None
    assert cost_status(broken, Ledger(NOW)).as_of.startswith("2026-11-18T")
