"""Writes the cost ledger into the status and reads it back, and decides when a newer one is worth a write.

Knows the form of `status.cost`. Does not know how the sums come about (decisions/cost/).
"""

from voxfleet_operator.decisions.cost.ledger import Ledger, Rate, RegionMonth
from voxfleet_operator.decisions.timestamps import to_micro_time, to_seconds
from voxfleet_operator.resources.cost import Cost, CostMonth, CostRate

# Readers add the time since `asOf` at the rates in the status, so the sums need no write while those are right. But an
# operator that ends abruptly leaves a successor no more than this to add.
WRITE_SECONDS = 600.0
SECONDS_DIGITS, MONEY_DIGITS, RATIO_DIGITS = 3, 6, 4


def cost_status(before: Cost | None, ledger: Ledger) -> Cost:
    """Return the ledger as it stands in the status: the earlier one until a newer one is due."""
    as_of = as_of_seconds(before)
    if before is None or as_of is None:
        return to_cost(ledger)
    # The sums are not read: this is asked at every reconcile, and a year of them takes a while to parse.
    rates, is_old = _rates(before), ledger.as_of - as_of >= WRITE_SECONDS
    # Every resource has regions: without rates an older CRD has pruned them, and would do so again.
    is_changed = rates != ledger.rates and (bool(rates) or is_old)
    # A clock that was set back: the status must not be from the future for longer.
    is_due = (ledger.is_in_use and is_old) or ledger.as_of < as_of
    return to_cost(ledger) if is_changed or is_due else before


def as_of_seconds(cost: Cost | None) -> float | None:
    """Return the time of a status' ledger; None where it holds none."""
    return to_seconds(cost.as_of) if cost is not None else None


def to_cost(ledger: Ledger) -> Cost:
    """Return the ledger as a part of the status."""
    return Cost(
        as_of=to_micro_time(ledger.as_of),
        gpu_seconds=_text(ledger.gpu_seconds, SECONDS_DIGITS) or "0",
        gpu_seconds_avoided=_text(ledger.avoided_seconds, SECONDS_DIGITS) or "0",
        saved_ratio=_text(ledger.saved_ratio, RATIO_DIGITS) or "0",
        rates=[_rate(rate) for rate in ledger.rates],
        months=[_month(row) for row in ledger.months.values()],
    )


def to_ledger(cost: Cost | None) -> Ledger | None:
    """Return the ledger that a status holds; None where it holds none."""
    as_of = as_of_seconds(cost)
    if cost is None or as_of is None:
        return None
    return Ledger(as_of, _rates(cost), {(each.month, each.region): _region_month(each) for each in cost.months})


def _rates(cost: Cost) -> tuple[Rate, ...]:
    return tuple(
        Rate(
            each.region,
            each.on_demand_gpus,
            each.spot_gpus,
            each.asleep,
            each.baseline_gpus,
            _price(each.on_demand_price),
            _price(each.spot_price),
        )
        for each in cost.rates
    )


def _rate(rate: Rate) -> CostRate:
    return CostRate(
        region=rate.region,
        on_demand_gpus=rate.on_demand_gpus,
        spot_gpus=rate.spot_gpus,
        asleep=rate.is_asleep,
        baseline_gpus=rate.baseline_gpus,
        on_demand_price=None if rate.on_demand_price is None else _decimal(rate.on_demand_price, MONEY_DIGITS),
        spot_price=None if rate.spot_price is None else _decimal(rate.spot_price, MONEY_DIGITS),
    )


def _month(row: RegionMonth) -> CostMonth:
    return CostMonth(
        month=row.month,
        region=row.region,
        on_demand_seconds=_text(row.on_demand_seconds, SECONDS_DIGITS),
        spot_seconds=_text(row.spot_seconds, SECONDS_DIGITS),
        unpriced_seconds=_text(row.unpriced_seconds, SECONDS_DIGITS),
        on_demand_paid=_text(row.on_demand_paid, MONEY_DIGITS),
        spot_paid=_text(row.spot_paid, MONEY_DIGITS),
        spot_saved=_text(row.spot_saved, MONEY_DIGITS),
        asleep_seconds=_text(row.asleep_seconds, SECONDS_DIGITS),
        asleep_cost=_text(row.asleep_cost, MONEY_DIGITS),
        baseline_gpus=row.baseline_gpus,
    )


def _region_month(row: CostMonth) -> RegionMonth:
    return RegionMonth(
        row.month,
        row.region,
        _amount(row.on_demand_seconds),
        _amount(row.spot_seconds),
        _amount(row.unpriced_seconds),
        _amount(row.on_demand_paid),
        _amount(row.spot_paid),
        _amount(row.spot_saved),
        _amount(row.asleep_seconds),
        _amount(row.asleep_cost),
        row.baseline_gpus,
    )


def _decimal(amount: float, digits: int) -> str:
    text = f"{amount:.{digits}f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def _text(amount: float, digits: int) -> str | None:
    """Return the amount as a decimal string; None for nothing, which is most of a region's fields."""
    text = _decimal(amount, digits)
    return None if text == "0" else text


def _amount(written: str | None) -> float:
    return float(written) if written else 0.0


def _price(written: str | None) -> float | None:
    return float(written) if written is not None else None
