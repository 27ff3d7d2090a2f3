"""Renews the demand Leases of regions with requests, and of regions that are to wake.

Knows: one renewal at a time per region, back-off when the API server does not respond, conflicts.
Does not know: when a renewal is due (demand_lease.py decides). Regions without requests are not checked.
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

CHECK_SECONDS = 0.5  # between two checks of the tracked regions; the shortest renewal period is 5 s / 3
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
FORGET_SECONDS = 3.0  # after the last end: longer than MIN_GAP_SECONDS, so that the end is always reported

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class LeaseRenewer:
    """Checks the tracked regions twice a second, and at once after `notify`."""

    fleet: Fleet
    leases: LeaseWatch
    clock: Callable[[], datetime] = utc_now
    is_stopping: bool = False
    notified: asyncio.Event = field(default_factory=asyncio.Event)
    tracked: set[RegionKey] = field(default_factory=set)
    renewing: dict[RegionKey, asyncio.Task[None]] = field(default_factory=dict)

    def notify(self, key: RegionKey) -> None:
        """Check the region at once, since a request began or ended there, and track it while it is busy."""
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
        """Start the renewals that are due; stop tracking regions that need none."""
        for key in [*self.tracked]:
            if key in self.renewing:
                continue
            if self._due(key):
                task = asyncio.create_task(self._renew(key), name=f"renew {key.region}")
                self.renewing[key] = task
                task.add_done_callback(partial(self._renewed, key))
            elif self._is_quiet(key):
                self.tracked.discard(key)

    def _renewed(self, key: RegionKey, _task: asyncio.Task[None]) -> None:
        self.renewing.pop(key, None)
        self.notified.set()  # something may have become due while the renewal ran

    def _due(self, key: RegionKey) -> str | None:
        lease = self.fleet.lease(key)
        if lease is None:
            return None
        return renewal_reason(lease, self.fleet.activity(key), self.clock(), is_stopping=self.is_stopping)

    def _is_quiet(self, key: RegionKey) -> bool:
        """Whether nothing is held, open or requested there, and the last end has been reported."""
        region = self.fleet.regions.get(key)
        if region is None or not region.is_registered:
            return True
        activity, lease = self.fleet.activity(key), self.fleet.lease(key)
        # A wake requested before the operator has made the Lease waits for it.
        if activity.is_busy or (activity.is_wake_requested and lease is None):
            return False
        region.traffic.is_wake_requested = False
        finished = activity.last_finished
        return finished is None or (self.clock() - finished).total_seconds() > FORGET_SECONDS

    async def _renew(self, key: RegionKey) -> None:
        """Renew; repeat while it is still due and the API server does not respond."""
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
                if (region := self.fleet.regions.get(key)) is not None:
                    region.traffic.is_wake_requested = False
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
        """Renew once more wherever that is due, before the process ends; returns when all renewals have ended."""
        self.is_stopping = True
        for key in self.fleet.regions:
            self.notify(key)
        self.check()
        await asyncio.gather(*self.renewing.values(), return_exceptions=True)
