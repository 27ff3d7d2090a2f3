"""The ledger adds each second once, at the rates of its time, in however many steps and processes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.cost.ledger import (
    CLOCK_STEP_SECONDS,
    KEPT_MONTHS,
    LONGEST_GAP_IN_USE_SECONDS,
    LONGEST_GAP_SECONDS,
    Ledger,
    Rate,
    RegionMonth,
    advance,
    longest_gap_seconds,
    months_between,
    with_rates,
)

HOUR, DAY, ALWAYS = 3600.0, 86_400.0, 1e12
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
KEY = ("2026-11", "eu")
AWAKE = Rate("eu", on_demand_gpus=2, spot_gpus=3, baseline_gpus=5, on_demand_price=1.0, spot_price=0.25)
ASLEEP = Rate("eu", is_asleep=True, baseline_gpus=1, on_demand_price=1.0, spot_price=0.25)


def after(seconds: float, *rates: Rate) -> RegionMonth:
    return advance(Ledger(NOVEMBER, rates), NOVEMBER + seconds, ALWAYS).months[KEY]


def test_an_hour_awake() -> None:
    row = after(HOUR, AWAKE)
    assert (row.on_demand_seconds, row.spot_seconds, row.gpu_seconds) == (2 * HOUR, 3 * HOUR, 5 * HOUR)
    assert (row.on_demand_paid, row.spot_paid, row.spot_saved) == (2.0, 0.75, 2.25)
    assert (row.unpriced_seconds, row.asleep_seconds, row.avoided_seconds) == (0.0, 0.0, 0.0)


def test_sleep_avoids_the_replicas_of_the_months_peak_on_demand() -> None:
    ledger = advance(Ledger(NOVEMBER, (ASLEEP,)), NOVEMBER + 10 * HOUR, ALWAYS)
    assert (ledger.months[KEY].avoided_seconds, ledger.months[KEY].avoided_cost) == (10 * HOUR, 10.0)
    # Constant replicas would have been five all the time, also before they were needed.
    ledger = advance(with_rates(ledger, [AWAKE]), NOVEMBER + 11 * HOUR, ALWAYS)
    assert (ledger.months[KEY].avoided_seconds, ledger.months[KEY].avoided_cost) == (50 * HOUR, 50.0)
    assert ledger.saved_ratio == pytest.approx(50 / 55)
    # The next month has a peak of its own.
    ledger = advance(with_rates(ledger, [ASLEEP]), NOVEMBER + 31 * DAY, ALWAYS)
    assert ledger.months["2026-12", "eu"].avoided_seconds == DAY


def test_a_region_without_prices_counts_seconds_only() -> None:
    row = after(HOUR, replace(AWAKE, on_demand_price=None, spot_price=None))
    assert (row.gpu_seconds, row.unpriced_seconds) == (5 * HOUR, 5 * HOUR)
    assert (row.on_demand_paid, row.spot_paid, row.spot_saved) == (0.0, 0.0, 0.0)
    only_spot = after(HOUR, replace(AWAKE, on_demand_price=None))
    assert (only_spot.unpriced_seconds, only_spot.spot_paid, only_spot.spot_saved) == (2 * HOUR, 0.75, 0.0)


def test_spot_that_costs_more_is_a_loss() -> None:
    assert after(HOUR, replace(AWAKE, spot_price=1.5)).spot_saved == -1.5


def test_a_region_that_is_neither_asleep_nor_in_use_adds_nothing() -> None:
    row = after(HOUR, Rate("eu", baseline_gpus=1, on_demand_price=1.0))
    assert row == RegionMonth(*KEY, baseline_gpus=1)


def test_months_are_those_of_utc() -> None:
    assert [*months_between(NOVEMBER - 10, NOVEMBER + 30 * DAY + 5)] == [
        ("2026-10", 10.0),
        ("2026-11", 30 * DAY),
        ("2026-12", 5.0),
    ]
    assert [*months_between(NOVEMBER, NOVEMBER)] == []


def test_a_year_and_a_month_are_kept() -> None:
    ledger = advance(Ledger(NOVEMBER, (ASLEEP, replace(ASLEEP, region="us"))), NOVEMBER + 1000 * DAY, ALWAYS)
    months = sorted({month for month, _ in ledger.months})
    assert (len(months), len(ledger.months), months[-1]) == (KEPT_MONTHS, 2 * KEPT_MONTHS, "2029-07")


def test_a_gap_is_bounded_and_not_made_up_for_later() -> None:
    ledger = Ledger(NOVEMBER, (AWAKE,))
    assert longest_gap_seconds(ledger) == LONGEST_GAP_IN_USE_SECONDS
    assert longest_gap_seconds(with_rates(ledger, [ASLEEP])) == LONGEST_GAP_SECONDS
    jumped = advance(ledger, NOVEMBER + 20 * DAY, HOUR)
    assert (jumped.gpu_seconds, jumped.as_of) == (5 * HOUR, NOVEMBER + 20 * DAY)


def test_a_clock_that_goes_back_adds_nothing_twice() -> None:
    ledger = advance(Ledger(NOVEMBER, (AWAKE,)), NOVEMBER + HOUR, ALWAYS)
    slightly = advance(ledger, NOVEMBER + HOUR - CLOCK_STEP_SECONDS, ALWAYS)
    assert slightly == ledger, "two machines' clocks differ; the time until then is counted"
    far = advance(ledger, NOVEMBER, ALWAYS)
    assert (far.as_of, far.gpu_seconds) == (NOVEMBER, ledger.gpu_seconds), "the clock counts from here again"


rates = st.builds(
    Rate,
    region=st.sampled_from(["eu", "us"]),
    on_demand_gpus=st.integers(0, 9),
    spot_gpus=st.integers(0, 9),
    is_asleep=st.booleans(),
    baseline_gpus=st.integers(0, 9),
    on_demand_price=st.none() | st.floats(0, 10),
    spot_price=st.none() | st.floats(0, 10),
)
rate_lists = st.lists(rates, max_size=2, unique_by=lambda rate: rate.region)
steps = st.lists(st.tuples(st.floats(0, 40 * DAY), rate_lists), min_size=1, max_size=6)


@given(steps, st.lists(st.floats(0, 1), max_size=8))
def test_how_often_it_is_advanced_changes_nothing(
    given_steps: list[tuple[float, list[Rate]]], cuts: list[float]
) -> None:
    """In one step per rate, or in any number of them: another leader may take over at any time."""
    once = often = Ledger(NOVEMBER)
    now = NOVEMBER
    for seconds, held in given_steps:
        once, often = with_rates(once, held), with_rates(often, held)
        for cut in sorted(cuts):
            often = advance(often, now + cut * seconds, ALWAYS)
        now += seconds
        once, often = advance(once, now, ALWAYS), advance(often, now, ALWAYS)
    assert once.months.keys() == often.months.keys() or not cuts or now == NOVEMBER
    for key, row in once.months.items():
        other = often.months[key]
        for name in RegionMonth.__slots__[2:]:
            assert getattr(other, name) == pytest.approx(getattr(row, name), rel=1e-9, abs=1e-3)


@given(steps)
def test_used_and_avoided_seconds_never_fall(given_steps: list[tuple[float, list[Rate]]]) -> None:
    ledger, now = Ledger(NOVEMBER), NOVEMBER
    for seconds, held in given_steps:
        before = {key: (row.gpu_seconds, row.avoided_seconds, row.avoided_cost) for key, row in ledger.months.items()}
        now += seconds
        ledger = advance(with_rates(ledger, held), now, ALWAYS)
        for key, row in ledger.months.items():
            old = before.get(key, (0.0, 0.0, 0.0))
            new = (row.gpu_seconds, row.avoided_seconds, row.avoided_cost)
            assert all(later >= earlier for later, earlier in zip(new, old, strict=True))


def test_a_region_that_cannot_be_observed_holds_what_it_last_held() -> None:
    away = with_rates(Ledger(NOVEMBER, (AWAKE,)), [], {AWAKE.region})
    gone = with_rates(Ledger(NOVEMBER, (AWAKE,)), [])
    assert away.rates == (AWAKE,)
    assert gone.rates == ()
