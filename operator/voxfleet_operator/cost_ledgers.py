"""The cost ledgers of this process: one per resource, advanced with the clock and started from the status.

Knows both clocks: the wall clock dates the sums, and the monotonic one bounds what a step of the wall clock can add.
Does not know rates or sums (decisions/cost/), nor when the status is written (status/cost_status.py).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voxfleet_operator.decisions.cost.ledger import (
    CLOCK_STEP_SECONDS,
    Ledger,
    Rate,
    advance,
    longest_gap_seconds,
    with_rates,
)
from voxfleet_operator.decisions.cost.spending import Spending, spending_between
from voxfleet_operator.resources import Key, Resource
from voxfleet_operator.status.cost_status import as_of_seconds, to_ledger

TIMESTAMP_SECONDS = 1e-3

OnSpending = Callable[[Key, dict[str, Spending]], None]


@dataclass(frozen=True, slots=True)
class _Open:
    """A ledger that this process advances; `uid`: of its resource, which may be deleted and created again."""

    uid: str
    ledger: Ledger
    advanced_at: float  # on the monotonic clock


@dataclass(slots=True)
class CostLedgers:
    """Keeps every resource's ledger. `on_spending` gets what this process has added, never what it took over."""

    monotonic: Callable[[], float] = time.monotonic
    on_spending: OnSpending = lambda _key, _spending: None
    on_forget: Callable[[Key], None] = lambda _key: None
    opened: dict[Key, _Open] = field(default_factory=dict)

    def advance(self, resource: Resource, rates: tuple[Rate, ...], now: float) -> Ledger:
        """Return the resource's ledger, advanced to now, with what its regions hold from now on."""
        unobserved = {region.name for region in resource.spec.regions} - {rate.region for rate in rates}
        ledger = with_rates(self._advanced(resource, now), rates, unobserved)
        self.opened[resource.key] = _Open(resource.uid, ledger, self.monotonic())
        return ledger

    def advance_all(self, now: float) -> None:
        """Advance every ledger of this process, so that counters grow while nothing else happens."""
        for key, known in self.opened.items():
            self.opened[key] = _Open(known.uid, self._continued(key, known, now), self.monotonic())

    def forget(self, key: Key) -> None:
        """Drop the ledger of a deleted resource."""
        if self.opened.pop(key, None) is not None:
            self.on_forget(key)

    def _advanced(self, resource: Resource, now: float) -> Ledger:
        known = self.opened.get(resource.key)
        if known is not None and known.uid == resource.uid and not _is_newer(resource, known.ledger):
            return self._continued(resource.key, known, now)
        # The first time, or another process has led meanwhile: its counters have the time until it ended.
        written = to_ledger(resource.status.cost)
        return Ledger(now) if written is None else advance(written, now, longest_gap_seconds(written))

    def _continued(self, key: Key, known: _Open, now: float) -> Ledger:
        elapsed_seconds = self.monotonic() - known.advanced_at
        ledger = advance(known.ledger, now, elapsed_seconds + CLOCK_STEP_SECONDS)
        self.on_spending(key, spending_between(known.ledger, ledger))
        return ledger


def _is_newer(resource: Resource, known: Ledger) -> bool:
    """Whether the status is later than what this process knows, by more than the digits of a timestamp."""
    as_of = as_of_seconds(resource.status.cost)
    return as_of is not None and as_of > known.as_of + TIMESTAMP_SECONDS
