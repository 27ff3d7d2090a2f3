"""The rows of a month's costs: one per region and pool, and their totals. Pure.

Knows which figure stands in which row, and what a share is a share of. Does not know how rows are printed.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from voxfleet_cli.cost.ledger import HOUR_SECONDS, CostLedger, RegionCost

ON_DEMAND, SPOT = "on demand", "spot"


@dataclass(frozen=True, slots=True)
class CostRow:
    """One line. None: the figure belongs to another row of the region, or has no price to be made from."""

    namespace: str
    name: str
    region: str
    pool: str
    gpu_hours: float
    price: float | None  # of a GPU hour: the mean, where it has changed
    paid: float | None
    avoided_gpu_hours: float | None = None
    avoided_by_sleeping: float | None = None
    saved_by_spot: float | None = None
    saved_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A month's rows and totals. `peaks`: GPUs of constant replicas, by namespace/name/region."""

    month: str
    rows: tuple[CostRow, ...]
    total: CostRow
    unpriced_gpu_hours: float
    peaks: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values, with every digit."""
        return asdict(self)


def report(month: str, ledgers: Iterable[CostLedger]) -> Report:
    """Return the month's report of these resources."""
    rows: list[CostRow] = []
    total, peaks = RegionCost(), {}
    for ledger in ledgers:
        for region, sums in ledger.of_month(month).items():
            rows += _rows(ledger, region, sums)
            peaks[f"{ledger.namespace}/{ledger.name}/{region}"] = sums.baseline_gpus
            _sum_up(total, sums)
    unpriced_hours = total.unpriced_seconds / HOUR_SECONDS
    return Report(month, tuple(rows), _total(total), unpriced_hours, peaks)


def _rows(ledger: CostLedger, region: str, sums: RegionCost) -> list[CostRow]:
    """Return a row per pool that was used, or one for a region that slept; the first has the region's own figures."""
    pools = [(ON_DEMAND, sums.on_demand_seconds, sums.on_demand_paid), (SPOT, sums.spot_seconds, sums.spot_paid)]
    used = [pool for pool in pools if pool[1]] or pools[:1]
    found = []
    for number, (pool, seconds, paid) in enumerate(used):
        hours = seconds / HOUR_SECONDS
        is_priced = bool(paid) or not sums.unpriced_seconds
        is_first = not number
        found.append(
            CostRow(
                ledger.namespace,
                ledger.name,
                region,
                pool,
                hours,
                price=paid / hours if is_priced and hours else None,
                paid=paid if is_priced else None,
                avoided_gpu_hours=sums.avoided_seconds / HOUR_SECONDS if is_first else None,
                avoided_by_sleeping=_avoided_cost(sums) if is_first else None,
                saved_by_spot=sums.spot_saved if pool == SPOT and sums.spot_saved else None,
                saved_ratio=saved_ratio(sums) if is_first else None,
            )
        )
    return found


def _avoided_cost(sums: RegionCost) -> float | None:
    """Return the money for avoided seconds; None where they have no price."""
    return None if sums.avoided_seconds and not sums.avoided_cost else sums.avoided_cost


def saved_ratio(sums: RegionCost) -> float | None:
    """Return the share that sleeping and spot saved: of the money, or of GPU hours where nothing has a price."""
    saved = sums.avoided_cost + sums.spot_saved
    whole = sums.paid + saved
    if not whole:
        saved, whole = sums.avoided_seconds, sums.gpu_seconds + sums.avoided_seconds
    return saved / whole if whole else None


def _sum_up(total: RegionCost, sums: RegionCost) -> None:
    total.on_demand_seconds += sums.on_demand_seconds
    total.spot_seconds += sums.spot_seconds
    total.unpriced_seconds += sums.unpriced_seconds
    total.on_demand_paid += sums.on_demand_paid
    total.spot_paid += sums.spot_paid
    total.spot_saved += sums.spot_saved
    # Of several baselines: what was avoided, as if by one GPU.
    total.asleep_seconds += sums.avoided_seconds
    total.asleep_cost += sums.avoided_cost
    total.baseline_gpus = 1


def _total(total: RegionCost) -> CostRow:
    is_priced = bool(total.paid) or not total.unpriced_seconds
    return CostRow(
        "",
        "TOTAL",
        "",
        "",
        total.gpu_seconds / HOUR_SECONDS,
        price=None,
        paid=total.paid if is_priced else None,
        avoided_gpu_hours=total.avoided_seconds / HOUR_SECONDS,
        avoided_by_sleeping=_avoided_cost(total),
        saved_by_spot=total.spot_saved or None,
        saved_ratio=saved_ratio(total),
    )
