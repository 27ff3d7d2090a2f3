"""The command line's sums are the operator's, extrapolated or not."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from voxfleet_cli.cost.ledger import RegionCost, months_between, read_ledger
from voxfleet_cli.cost.report import report
from voxfleet_operator.decisions.cost import ledger as operators
from voxfleet_operator.decisions.cost.ledger import Ledger, Rate, RegionMonth, advance, with_rates
from voxfleet_operator.status.cost_status import to_cost

START, DAY, ALWAYS = datetime(2026, 11, 20, tzinfo=UTC).timestamp(), 86_400.0, 1e12
prices = st.none() | st.integers(0, 10**7).map(lambda millionths: millionths / 1e6)
rates = st.builds(
    Rate,
    region=st.sampled_from(["eu", "us"]),
    on_demand_gpus=st.integers(0, 9),
    spot_gpus=st.integers(0, 9),
    is_asleep=st.booleans(),
    baseline_gpus=st.integers(0, 9),
    on_demand_price=prices,
    spot_price=prices,
)
rate_lists = st.lists(rates, max_size=2, unique_by=lambda rate: rate.region)
milliseconds = st.integers(0, int(40 * DAY * 1000))
step_lists = st.lists(st.tuples(milliseconds, rate_lists), max_size=4)


def after(steps: list[tuple[int, list[Rate]]]) -> Ledger:
    """Return a ledger whose time its status holds to the last bit.

    Lengths are added as integers. A sum of floats may be 0.2 us later than the `asOf` it is written as; a reader of
    the status then adds these 0.2 us at its rates, and their baseline counts for the whole month.
    """
    ledger, passed = Ledger(START), 0
    for length, held in steps:
        passed += length
        ledger = advance(with_rates(ledger, held), (int(START) * 1000 + passed) / 1000, ALWAYS)
    return ledger


def resource(ledger: Ledger) -> dict[str, object]:
    cost = to_cost(ledger).model_dump(by_alias=True, exclude_none=True, mode="json")
    return {"metadata": {"namespace": "default", "name": "narrator"}, "status": {"cost": cost}}


WITHOUT_BASELINE, WITH_BASELINE = Rate("eu", is_asleep=True), Rate("eu", is_asleep=True, baseline_gpus=9)


@given(step_lists, rate_lists, milliseconds)
@example([(574_058_002, [WITHOUT_BASELINE]), (220_750_453, [])], [WITH_BASELINE], 0)
def test_both_come_to_the_same_sums(steps: list[tuple[int, list[Rate]]], held: list[Rate], since: int) -> None:
    ledger = with_rates(after(steps), held)
    now = ledger.as_of + since / 1000
    found = read_ledger(resource(ledger), now)
    assert found is not None
    expected = advance(ledger, now, ALWAYS)
    assert found.months.keys() >= expected.months.keys()
    for key, row in expected.months.items():
        for name in RegionMonth.__slots__[2:]:
            assert getattr(found.months[key], name) == pytest.approx(getattr(row, name), rel=1e-6, abs=0.01)
        assert found.months[key].avoided_seconds == pytest.approx(row.avoided_seconds, rel=1e-6, abs=0.1)


@given(step_lists)
@example([(574_058_002, [WITHOUT_BASELINE]), (220_750_453, []), (0, [WITH_BASELINE])])
def test_totals_are_the_statuss(steps: list[tuple[int, list[Rate]]]) -> None:
    ledger = after(steps)
    found = read_ledger(resource(ledger), ledger.as_of)
    assert found is not None
    months = sorted({month for month, _ in ledger.months})
    totals = [report(month, [found]).total for month in months]
    cost = to_cost(ledger)
    assert sum(each.gpu_hours for each in totals) * 3600 == pytest.approx(float(cost.gpu_seconds), abs=0.1)
    avoided = sum(each.avoided_gpu_hours or 0.0 for each in totals) * 3600
    assert avoided == pytest.approx(float(cost.gpu_seconds_avoided), abs=0.1)


def test_the_fields_have_the_same_names() -> None:
    assert [*RegionCost.__slots__] == [*RegionMonth.__slots__[2:]]


@given(st.floats(0, 4e9), st.floats(0, 400 * DAY))
def test_months_are_the_same(start: float, seconds: float) -> None:
    assert [*months_between(start, start + seconds)] == [*operators.months_between(start, start + seconds)]
