"""The rows of a month: which figure stands where, and what the share is a share of."""

import pytest
from voxfleet_cli.cost.ledger import CostLedger, RegionCost
from voxfleet_cli.cost.report import report, saved_ratio

HOUR, MONTH = 3600.0, "2026-11"
BOTH = RegionCost(
    on_demand_seconds=10 * HOUR,
    spot_seconds=20 * HOUR,
    on_demand_paid=10.1,
    spot_paid=7.0,
    spot_saved=13.2,
    asleep_seconds=100 * HOUR,
    asleep_cost=101.0,
    baseline_gpus=2,
)
UNPRICED = RegionCost(on_demand_seconds=HOUR, unpriced_seconds=HOUR, asleep_seconds=3 * HOUR, baseline_gpus=1)


def ledger(**regions: RegionCost) -> CostLedger:
    return CostLedger("apps", "narrator", {(MONTH, name): row for name, row in regions.items()})


def test_a_region_with_both_pools() -> None:
    first, second = report(MONTH, [ledger(eu=BOTH)]).rows
    assert (first.region, first.pool, first.gpu_hours, first.paid) == ("eu", "on demand", 10.0, 10.1)
    assert (first.avoided_gpu_hours, first.avoided_by_sleeping, first.saved_by_spot) == (200.0, 202.0, None)
    assert first.price == pytest.approx(1.01)
    assert first.saved_ratio == pytest.approx((202 + 13.2) / (17.1 + 202 + 13.2))
    assert (second.pool, second.gpu_hours, second.price, second.saved_by_spot) == ("spot", 20.0, 0.35, 13.2)
    assert (second.avoided_gpu_hours, second.avoided_by_sleeping, second.saved_ratio) == (None, None, None)


def test_a_region_that_slept_all_month_has_a_row() -> None:
    (row,) = report(MONTH, [ledger(eu=RegionCost(asleep_seconds=HOUR, asleep_cost=1.0, baseline_gpus=1))]).rows
    assert (row.pool, row.gpu_hours, row.price, row.avoided_by_sleeping, row.saved_ratio) == (
        "on demand", 0.0, None, 1.0, 1.0,
    )  # fmt: skip


def test_without_prices_there_are_hours_and_a_share_of_them() -> None:
    found = report(MONTH, [ledger(eu=UNPRICED)])
    (row,) = found.rows
    assert (row.price, row.paid, row.avoided_by_sleeping) == (None, None, None)
    assert (row.avoided_gpu_hours, row.saved_ratio, found.unpriced_gpu_hours) == (3.0, 0.75, 1.0)
    assert (found.total.paid, found.total.avoided_by_sleeping, found.total.saved_ratio) == (None, None, 0.75)


def test_the_total_is_of_all_regions_with_their_own_peaks() -> None:
    found = report(MONTH, [ledger(eu=BOTH, us=BOTH), CostLedger("other", "n", {(MONTH, "ap"): BOTH})])
    assert (found.total.gpu_hours, found.total.avoided_gpu_hours) == (90.0, 600.0)
    assert found.total.paid == pytest.approx(51.3)
    assert found.total.avoided_by_sleeping == pytest.approx(606)
    assert found.peaks == {"apps/narrator/eu": 2, "apps/narrator/us": 2, "other/n/ap": 2}


def test_other_months_and_empty_regions_have_no_rows() -> None:
    assert report("2026-10", [ledger(eu=BOTH)]).rows == ()
    empty = report(MONTH, [ledger(eu=RegionCost(baseline_gpus=1))])
    assert (empty.rows, empty.total.saved_ratio) == ((), None)


def test_spot_above_the_on_demand_price_lowers_the_share() -> None:
    assert saved_ratio(RegionCost(spot_seconds=HOUR, spot_paid=2.0, spot_saved=-1.0)) == -1.0
