"""The summary of costs in the registry: right at any time, and rewritten only when a rate or the month changes."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.cost.ledger import Ledger, Rate, advance
from voxfleet_operator.manifests.registry_cost import region_cost
from voxfleet_operator.status.cost_status import to_cost

BEGIN = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
LONGEST = 1e9
COUNTS, ON_DEMAND, SPOT = st.integers(0, 3), st.sampled_from([None, 1.01]), st.sampled_from([None, 0.35])
RATES = st.builds(Rate, st.just("eu"), COUNTS, COUNTS, st.booleans(), st.integers(1, 4), ON_DEMAND, SPOT)


def value(cost: dict[str, object], name: str, rate: str, at: float) -> float:
    as_of = datetime.fromisoformat(str(cost["as_of"])).timestamp()
    return float(str(cost[name])) + float(str(cost[rate])) * (at - as_of) / 3600


@given(st.lists(st.tuples(RATES, st.floats(1, 200_000)), min_size=1, max_size=4))
def test_the_extrapolated_sums_are_the_ledger_s(steps: list[tuple[Rate, float]]) -> None:
    ledger = Ledger(BEGIN)
    for rate, seconds in steps:
        ledger = advance(Ledger(ledger.as_of, (rate,), ledger.months), ledger.as_of + seconds, LONGEST)
    summary = region_cost(to_cost(ledger), "eu")
    later = advance(ledger, ledger.as_of + 3600, LONGEST)
    row = later.months["2026-11", "eu"]
    assert summary is not None
    paid, saved = row.on_demand_paid + row.spot_paid, row.avoided_cost + row.spot_saved
    assert value(summary, "paid", "paid_per_hour", later.as_of) == pytest.approx(paid, abs=0.01)
    assert value(summary, "saved", "saved_per_hour", later.as_of) == pytest.approx(saved, abs=0.01)
    gpu_hours = value(
        summary | {"gpu_hours": float(str(summary["gpu_seconds"])) / 3600}, "gpu_hours", "gpus", later.as_of
    )
    assert gpu_hours == pytest.approx(row.gpu_seconds / 3600, abs=0.01)


def test_time_alone_does_not_change_it() -> None:
    rate = Rate("eu", on_demand_gpus=2, baseline_gpus=2, on_demand_price=1.01)
    ledger = advance(Ledger(BEGIN + 1234.4, (rate,)), BEGIN + 5000.7, LONGEST)
    first = region_cost(to_cost(ledger), "eu")
    for number in range(1, 50):
        assert region_cost(to_cost(advance(ledger, ledger.as_of + number * 600.13, LONGEST)), "eu") == first


def test_without_a_ledger_there_is_none() -> None:
    assert region_cost(None, "eu") is None
    assert region_cost(to_cost(Ledger(BEGIN, (Rate("eu"),))), "eu") is None
    assert region_cost(to_cost(advance(Ledger(BEGIN, (Rate("eu"),)), BEGIN + 60, LONGEST)), "us") is None
