"""Builds the summary of a region's costs that gateways show on the fleet page, from the ledger in the status.

Knows: this month's row, and the rates by which readers add the time since. The sums are those that the present rates
would have had at the month's begin, so that they change with a rate or a month, and not with each write of the status.
Does not know: clocks; earlier months, which `voxfleet cost` reads from the status.
"""

from datetime import UTC, datetime
from typing import Any

from voxfleet_operator.decisions.timestamps import to_micro_time, to_seconds
from voxfleet_operator.resources.cost import Cost, CostMonth, CostRate

MONEY_DIGITS = 4
HOUR_SECONDS = 3600.0


def region_cost(cost: Cost | None, region: str) -> dict[str, Any] | None:
    """Return the region's sums of the newest month, and its rates; None before the ledger has a row of it."""
    as_of = to_seconds(cost.as_of) if cost is not None else None
    rows = [row for row in cost.months if row.region == region] if cost is not None else []
    rate = next((each for each in cost.rates if each.region == region), None) if cost is not None else None
    if as_of is None or not rows or rate is None:
        return None
    row = max(rows, key=lambda each: each.month)
    begin = datetime.strptime(row.month, "%Y-%m").replace(tzinfo=UTC).timestamp()
    rates, hours = _rates(rate, row), (as_of - begin) / HOUR_SECONDS
    sums = _sums(row)
    return {
        "as_of": to_micro_time(begin),
        "month": row.month,
        "gpu_seconds": round(sums["gpu_seconds"] - rates["gpus"] * hours * HOUR_SECONDS),
        "avoided_gpu_seconds": round(sums["avoided_gpu_seconds"] - rates["avoided_gpus"] * hours * HOUR_SECONDS),
        "paid": round(sums["paid"] - rates["paid_per_hour"] * hours, MONEY_DIGITS),
        "saved": round(sums["saved"] - rates["saved_per_hour"] * hours, MONEY_DIGITS),
        **rates,
        "is_priced": rate.on_demand_price is not None or rate.spot_price is not None,
    }


def _sums(row: CostMonth) -> dict[str, float]:
    return {
        "gpu_seconds": _number(row.on_demand_seconds) + _number(row.spot_seconds),
        "avoided_gpu_seconds": row.baseline_gpus * _number(row.asleep_seconds),
        "paid": _number(row.on_demand_paid) + _number(row.spot_paid),
        "saved": row.baseline_gpus * _number(row.asleep_cost) + _number(row.spot_saved),
    }


def _rates(rate: CostRate, row: CostMonth) -> dict[str, float]:
    """Return what an hour adds, as the ledger adds it (decisions/cost/ledger.py)."""
    on_demand, spot = _number(rate.on_demand_price), _number(rate.spot_price)
    avoided = max(row.baseline_gpus, rate.baseline_gpus) if rate.asleep else 0
    discount = on_demand - spot if rate.on_demand_price is not None and rate.spot_price is not None else 0.0
    return {
        "gpus": rate.on_demand_gpus + rate.spot_gpus,
        "avoided_gpus": avoided,
        "paid_per_hour": rate.on_demand_gpus * on_demand + rate.spot_gpus * spot,
        "saved_per_hour": avoided * on_demand + rate.spot_gpus * discount,
    }


def _number(written: str | None) -> float:
    return float(written) if written else 0.0
