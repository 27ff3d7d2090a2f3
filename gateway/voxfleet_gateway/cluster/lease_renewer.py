"""Keeps the demand Leases of busy regions renewed, and wakes sleeping ones.

Knows: one renewal at a time per region, back-off when the API server does not answer, conflicts.
Does not know: when a renewal is due (demand_lease.py decides); quiet regions cost nothing here.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from voxfleet_gateway.cluster.lease_watch import LeaseWatch
from voxfleet_gateway.decisions.demand_lease import renewal_reason
from voxfleet_gateway.errors import ClusterConflictError, ClusterError
from voxfleet_gateway.pods.fleet import Fleet, utc_now
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import LEASE_RENEWALS

CHECK_SECONDS = 0.5  # between two looks at regions with something to renew
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
FORGET_SECONDS = 3.0  # after its last request, a region has nothing more to renew

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class LeaseRenewer:
    """Looks at the regions that have work, twice a second and whenever one is touched."""

    fleet: Fleet
    leases: LeaseWatch
    clock: Callable[[], datetime] = utc_now
    stopping: bool = False
    notified: asyncio.Event = field(default_factory=asyncio.Event)
    tracked: set[RegionKey] = field(default_factory=set)
    renewing: dict[RegionKey, asyncio.Task[None]] = field(default_factory=dict)

    def notify(self, key: RegionKey) -> None:
        """Something began or ended there: look at once, and keep looking while it is busy."""
        self.tracked.add(key)
        self.notified.set()

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            self.check()
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS if self.tracked else None):
                await self.notified.wait()
        except TimeoutError:
            return
        self.notified.clear()

    def check(self) -> None:
        """Start what is due; forget what is quiet."""
        for key in [*self.tracked]:
            if key in self.renewing:
                continue
            if self._due(key):
                task = asyncio.create_task(self._renew(key), name=f"renew {key.region}")
                self.renewing[key] = task
                task.add_done_callback(partial(self._renewed, key))
            elif self._quiet(key):
                self.tracked.discard(key)

    def _renewed(self, key: RegionKey, _task: asyncio.Task[None]) -> None:
        self.renewing.pop(key, None)
        self.notified.set()

    def _due(self, key: RegionKey) -> str | None:
        lease = self.fleet.lease(key)
        if lease is None:
            return None
        return renewal_reason(lease, self.fleet.activity(key), self.clock(), stopping=self.stopping)

    def _quiet(self, key: RegionKey) -> bool:
        """Nothing held, open or asked for, and the last end long enough ago to have been told."""
        if key not in self.fleet.pods:
            return True  # the region is gone
        activity, lease = self.fleet.activity(key), self.fleet.lease(key)
        if activity.busy or (activity.wake_asked and lease is None):
            return False
        self.fleet.traffic(key).wake_asked = False
        finished = activity.last_finished
        return finished is None or (self.clock() - finished).total_seconds() > FORGET_SECONDS

    async def _renew(self, key: RegionKey) -> None:
        """Renew, and again while it is still due and the API server does not answer."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while (reason := self._due(key)) and (lease := self.fleet.lease(key)):
            try:
                await self.leases.renew(lease, self.clock())
            except ClusterConflictError:
                LEASE_RENEWALS.labels(reason, "conflict").inc()
                await self._refresh(key)
            except ClusterError as error:
                LEASE_RENEWALS.labels(reason, "failed").inc()
                log.warning("lease_renewal_failed", lease=lease.name, reason=reason, error=str(error))
                await asyncio.sleep(pause_seconds * (0.5 + random.random()))  # noqa: S311  # jitter, not a secret
                pause_seconds = min(LONGEST_PAUSE_SECONDS, pause_seconds * 2)
            else:
                LEASE_RENEWALS.labels(reason, "renewed").inc()
                self.fleet.traffic(key).wake_asked = False
                return

    async def _refresh(self, key: RegionKey) -> None:
        lease = self.fleet.lease(key)
        try:
            if lease is not None:
                await self.leases.refresh(lease)
        except ClusterError as error:
            log.warning("lease_read_failed", lease=lease.name if lease else "", error=str(error))
            await asyncio.sleep(FIRST_PAUSE_SECONDS)

    async def flush(self) -> None:
        """On the way out: one last renewal wherever one is due."""
        self.stopping = True
        for key in [*self.traffic_keys()]:
            self.notify(key)
        self.check()
        await asyncio.gather(*self.renewing.values(), return_exceptions=True)

    def traffic_keys(self) -> set[RegionKey]:
        """Every region that has seen a request here."""
        return set(self.fleet.traffic_by_region)
