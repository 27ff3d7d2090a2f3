"""The cost ledger of one resource: GPU seconds and money, by region and month, added up over time.

Knows rates (what a region holds from some time on) and how they become sums: `advance` adds the time since `as_of` at
the rates of that time, so a ledger that was written down and read again, by whichever process, counts no second twice.
Does not know clocks, where rates come from (rates.py), or how a ledger is written (status/cost_status.py).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

HOUR_SECONDS = 3600.0
KEPT_MONTHS = 13  # the present one, and a whole year to compare it with
# A clock that was set back by more than this starts the count anew; less is what clocks of two machines differ by.
CLOCK_STEP_SECONDS = 60.0
# Longest time that is added at once. In use, a ledger is written every ten minutes, so a long gap is an operator that
# was away, or a clock that jumped; asleep, months without a write are usual.
LONGEST_GAP_IN_USE_SECONDS = 7 * 86_400.0
LONGEST_GAP_SECONDS = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What one region holds from some time on; prices are for one GPU and hour, None where the spec has none.

    `baseline_gpus`: GPUs that constant replicas would hold: those that the region shall have now, and one at least.
    """

    region: str
    on_demand_gpus: int = 0
    spot_gpus: int = 0
    is_asleep: bool = False
    baseline_gpus: int = 0
    on_demand_price: float | None = None
    spot_price: float | None = None

    @property
    def is_in_use(self) -> bool:
        """Whether GPU seconds pass."""
        return self.on_demand_gpus + self.spot_gpus > 0

    @property
    def unpriced_gpus(self) -> int:
        """GPUs of pools without a price."""
        on_demand = self.on_demand_gpus if self.on_demand_price is None else 0
        return on_demand + (self.spot_gpus if self.spot_price is None else 0)

    @property
    def spot_discount(self) -> float:
        """What a spot GPU costs less than one on demand; negative where it costs more, 0 where a price is unknown."""
        if self.on_demand_price is None or self.spot_price is None:
            return 0.0
        return self.on_demand_price - self.spot_price


@dataclass(frozen=True, slots=True)
class RegionMonth:
    """The sums of one region in one month of UTC.

    `unpriced_seconds`: GPU seconds of a pool without a price, which no money stands for. `asleep_cost`: money that one
    on-demand GPU would have cost while the region slept. `spot_saved`: what spot GPUs would have cost more on demand.
    `baseline_gpus`: the most of any time in the month.
    """

    month: str
    region: str
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
    def avoided_seconds(self) -> float:
        """GPU seconds that constant replicas at the month's peak would have used while the region slept."""
        return self.baseline_gpus * self.asleep_seconds

    @property
    def avoided_cost(self) -> float:
        """Money for the avoided seconds, on demand: constant replicas can't be on machines that are taken away."""
        return self.baseline_gpus * self.asleep_cost


@dataclass(frozen=True, slots=True)
class Ledger:
    """All sums of a resource until `as_of`, and the rates since then."""

    as_of: float
    rates: tuple[Rate, ...] = ()
    months: Mapping[tuple[str, str], RegionMonth] = field(default_factory=dict)  # by month and region

    @property
    def is_in_use(self) -> bool:
        """Whether GPU seconds pass."""
        return any(rate.is_in_use for rate in self.rates)

    @property
    def gpu_seconds(self) -> float:
        """GPU seconds used in the kept months."""
        return sum(each.gpu_seconds for each in self.months.values())

    @property
    def avoided_seconds(self) -> float:
        """GPU seconds that sleeping avoided in the kept months."""
        return sum(each.avoided_seconds for each in self.months.values())

    @property
    def saved_ratio(self) -> float:
        """Avoided share of used and avoided seconds."""
        both = self.gpu_seconds + self.avoided_seconds
        return self.avoided_seconds / both if both else 0.0


def longest_gap_seconds(ledger: Ledger) -> float:
    """Return the longest time that is believed to have passed since a ledger of another process was written."""
    return LONGEST_GAP_IN_USE_SECONDS if ledger.is_in_use else LONGEST_GAP_SECONDS


def advance(ledger: Ledger, now: float, longest_seconds: float) -> Ledger:
    """Return the ledger at a later time: the seconds in between are added at its rates, `longest_seconds` at most."""
    if now < ledger.as_of:
        return replace(ledger, as_of=now) if ledger.as_of - now > CLOCK_STEP_SECONDS else ledger
    months = dict(ledger.months)
    end = min(now, ledger.as_of + longest_seconds)
    for month, seconds in months_between(ledger.as_of, end):
        for rate in ledger.rates:
            key = (month, rate.region)
            months[key] = _added(months.get(key, RegionMonth(*key)), rate, seconds)
    return replace(ledger, as_of=now, months=_kept(months))


def with_rates(ledger: Ledger, rates: Iterable[Rate], unobserved: Collection[str] = ()) -> Ledger:
    """Return the ledger with what the regions hold from `as_of` on; `unobserved` regions hold what they last held.

    The GPUs of a cluster that is away are paid for all the same.
    """
    given = tuple(rates)
    return replace(ledger, rates=(*given, *(rate for rate in ledger.rates if rate.region in unobserved)))


def months_between(start: float, end: float) -> Iterator[tuple[str, float]]:
    """Yield each month of UTC between two times, and the seconds in it."""
    while start < end:
        at = datetime.fromtimestamp(start, UTC)
        following = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC).timestamp()
        upto = min(end, following)
        yield f"{at:%Y-%m}", upto - start
        start = upto


def _added(row: RegionMonth, rate: Rate, seconds: float) -> RegionMonth:
    hours = seconds / HOUR_SECONDS
    on_demand_price, spot_price = rate.on_demand_price or 0.0, rate.spot_price or 0.0
    return replace(
        row,
        on_demand_seconds=row.on_demand_seconds + rate.on_demand_gpus * seconds,
        spot_seconds=row.spot_seconds + rate.spot_gpus * seconds,
        unpriced_seconds=row.unpriced_seconds + rate.unpriced_gpus * seconds,
        on_demand_paid=row.on_demand_paid + rate.on_demand_gpus * on_demand_price * hours,
        spot_paid=row.spot_paid + rate.spot_gpus * spot_price * hours,
        spot_saved=row.spot_saved + rate.spot_gpus * rate.spot_discount * hours,
        asleep_seconds=row.asleep_seconds + (seconds if rate.is_asleep else 0.0),
        asleep_cost=row.asleep_cost + (on_demand_price * hours if rate.is_asleep else 0.0),
        baseline_gpus=max(row.baseline_gpus, rate.baseline_gpus),
    )


def _kept(months: dict[tuple[str, str], RegionMonth]) -> dict[tuple[str, str], RegionMonth]:
    """Return the newest months, in order."""
    newest = sorted({month for month, _ in months})[-KEPT_MONTHS:]
    return {key: months[key] for key in sorted(months) if key[0] in newest}
