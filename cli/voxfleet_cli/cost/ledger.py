"""Reads a resource's cost ledger and brings it up to the present: sums by month and region. Pure.

Knows the form of `status.cost`, and how time since `asOf` is added at the rates there: as the operator adds it, which a
test compares. Does not know clocks, clusters, tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

HOUR_SECONDS = 3600.0


@dataclass(slots=True)
class RegionCost:
    """The sums of one region in one month; what is not known is 0."""

    on_demand_seconds: float = 0.0
    spot_seconds: float = 0.0
    unpriced_seconds: float = 0.0
    on_demand_paid: float = 0.0
    spot_paid: float = 0.0
    spot_saved: float = 0.0
    asleep_seconds: float = 0.0
    asleep_cost: float = 0.0
    baseline_gpus: int = 0

    @property
    def gpu_seconds(self) -> float:
        """GPU seconds used."""
        return self.on_demand_seconds + self.spot_seconds

    @property
    def paid(self) -> float:
        """Money for them."""
        return self.on_demand_paid + self.spot_paid

    @property
    def avoided_seconds(self) -> float:
        """GPU seconds that constant replicas at the month's peak would have used while the region slept."""
        return self.baseline_gpus * self.asleep_seconds

    @property
    def avoided_cost(self) -> float:
        """Their price on demand."""
        return self.baseline_gpus * self.asleep_cost

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.gpu_seconds and not self.avoided_seconds


@dataclass(frozen=True, slots=True)
class CostLedger:
    """One resource's sums by month and region."""

    namespace: str
    name: str
    months: Mapping[tuple[str, str], RegionCost] = field(default_factory=dict)

    def of_month(self, month: str) -> dict[str, RegionCost]:
        """Return the regions' sums in a month, without empty ones."""
        return {region: row for (of, region), row in sorted(self.months.items()) if of == month and not row.is_empty}


def read_ledger(resource: Mapping[str, Any], now: float) -> CostLedger | None:
    """Return a resource's ledger up to now; None where its status has none yet."""
    metadata, cost = resource["metadata"], (resource.get("status") or {}).get("cost")
    if not cost:
        return None
    months = {(row["month"], row["region"]): _read(row) for row in cost.get("months") or []}
    as_of = datetime.fromisoformat(cost["asOf"]).timestamp()
    for month, seconds in months_between(as_of, now):
        for rate in cost.get("rates") or []:
            _add(months.setdefault((month, rate["region"]), RegionCost()), rate, seconds)
    return CostLedger(metadata["namespace"], metadata["name"], months)


def months_between(start: float, end: float) -> Iterator[tuple[str, float]]:
    """Yield each month of UTC between two times, and the seconds in it."""
    while start < end:
        at = datetime.fromtimestamp(start, UTC)
        following = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC).timestamp()
        upto = min(end, following)
        yield f"{at:%Y-%m}", upto - start
        start = upto


def _read(row: Mapping[str, Any]) -> RegionCost:
    written = {each.name: row.get(_camel(each.name)) for each in fields(RegionCost)}
    amounts = {name: float(value) for name, value in written.items() if value is not None}
    return RegionCost(**amounts | {"baseline_gpus": int(written["baseline_gpus"] or 0)})  # type: ignore[arg-type]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _add(row: RegionCost, rate: Mapping[str, Any], seconds: float) -> None:
    hours = seconds / HOUR_SECONDS
    on_demand, spot = rate.get("onDemandGpus", 0), rate.get("spotGpus", 0)
    on_demand_price, spot_price = _price(rate.get("onDemandPrice")), _price(rate.get("spotPrice"))
    row.baseline_gpus = max(row.baseline_gpus, rate.get("baselineGpus", 0))
    row.on_demand_seconds += on_demand * seconds
    row.spot_seconds += spot * seconds
    row.unpriced_seconds += (on_demand * (on_demand_price is None) + spot * (spot_price is None)) * seconds
    row.on_demand_paid += on_demand * (on_demand_price or 0.0) * hours
    row.spot_paid += spot * (spot_price or 0.0) * hours
    if on_demand_price is not None and spot_price is not None:
        row.spot_saved += spot * (on_demand_price - spot_price) * hours
    if rate.get("asleep"):
        row.asleep_seconds += seconds
        row.asleep_cost += (on_demand_price or 0.0) * hours


def _price(written: str | None) -> float | None:
    return float(written) if written is not None else None
