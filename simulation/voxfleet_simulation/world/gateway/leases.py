"""Renews the demand Lease of one region, when the gateway's own rule says so.

Knows when the rule is asked: on a change, and when a renewal may be due. Does not know the rule
(voxfleet_gateway.decisions.demand_lease).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from voxfleet_gateway.decisions.demand_lease import (
    MIN_GAP_SECONDS,
    Activity,
    next_renew_time,
    renewal_period_seconds,
    renewal_reason,
)

from voxfleet_simulation.world.events import EventLoop
from voxfleet_simulation.world.region import SimulatedRegion

NEVER = float("inf")


@dataclass(slots=True)
class LeaseRenewer:
    """One per region: the gateways of the region, taken together."""

    region: SimulatedRegion
    loop: EventLoop
    activity: Callable[[], Activity]
    on_renewed: Callable[[int], None]
    next_at: float = NEVER
    renewals: int = 0

    def check(self) -> None:
        """Renew if it is due, and plan the next check."""
        if self.region.is_lost:
            return
        activity, lease = self.activity(), self.region.lease
        moment = datetime.fromtimestamp(self.loop.now, UTC)
        if renewal_reason(lease, activity, moment) is not None:
            self.region.lease = lease = replace(lease, renew_time=next_renew_time(lease, moment))
            self.renewals += 1
            self.on_renewed(self.region.index)
        if lease.renew_time is None:
            return
        renewed_at = lease.renew_time.timestamp()
        if activity.is_busy:
            self._plan(renewed_at + renewal_period_seconds(lease.duration_seconds))
        elif activity.last_finished is not None and activity.last_finished > lease.renew_time:
            self._plan(renewed_at + MIN_GAP_SECONDS)

    def _plan(self, at: float) -> None:
        at = max(at, self.loop.now + 0.001)
        if at < self.next_at:
            self.next_at = at
            self.loop.at(at, self._due, at)

    def _due(self, at: float) -> None:
        if at == self.next_at:
            self.next_at = NEVER
            self.check()
