"""Asks every region's gateway for its report, over mutual TLS, and keeps the health that follows.

Knows: how often, what counts as a failure. A connection that was closed since the last report is no failure: an attempt
that fails is made once more on a new one. Does not know: what follows from a report (decisions/dns/planning.py).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from voxfleet_gateway.decisions.dns.planning import ModelReport, RegionState
from voxfleet_gateway.decisions.dns.region_health import RegionHealth, admission, after_failure, after_success
from voxfleet_gateway.dns.telemetry import ADMISSION, REPORT_AGE, REPORT_FAILURES
from voxfleet_gateway.peers.client import PeerClient
from voxfleet_gateway.peers.report import REGION_PATH, RegionReport
from voxfleet_gateway.peers.report_fetch import failure_reason, fetch_report

RESPONSE_SECONDS = 2.0
ATTEMPTS = 2
STALE_INTERVALS = 3
MAX_SOURCES = 64

log = structlog.get_logger(__name__)

Source = tuple[str, str]  # region and the URL of its gateway


@dataclass(slots=True)
class RegionSource:
    """One region's reports from one URL."""

    health: RegionHealth = field(default_factory=RegionHealth)
    models: Mapping[str, ModelReport] = field(default_factory=dict)
    received_at: float | None = None  # monotonic

    def state(self, now: float, interval_seconds: float) -> RegionState:
        """Return what plans are made from."""
        is_fresh = self.received_at is not None and now - self.received_at <= STALE_INTERVALS * interval_seconds
        part = admission(self.health, now)
        return RegionState(part, is_reporting=is_fresh and part > 0, models=self.models)


@dataclass(slots=True)
class RegionReports:
    """All sources; each is polled by a task of its own, so that a slow one delays no other."""

    client: PeerClient
    interval_seconds: float
    on_change: Callable[[], None]
    sources: dict[Source, RegionSource] = field(default_factory=dict)
    tasks: dict[Source, asyncio.Task[None]] = field(default_factory=dict)

    def follow(self, wanted: set[Source]) -> None:
        """Ask these sources and no others; beyond MAX_SOURCES some are not asked."""
        if len(wanted) > MAX_SOURCES:
            log.warning("too_many_regions", limit=MAX_SOURCES, regions=len(wanted))
            wanted = set(sorted(wanted)[:MAX_SOURCES])
        for source in self.tasks.keys() - wanted:
            self.tasks.pop(source).cancel()
            del self.sources[source]
        for source in wanted - self.tasks.keys():
            self.sources[source] = RegionSource()
            self.tasks[source] = asyncio.create_task(self._poll(source), name=f"report {source[0]}")

    async def stop(self) -> None:
        """Stop asking."""
        tasks, self.tasks = [*self.tasks.values()], {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def state(self, source: Source, now: float) -> RegionState:
        """Return the state of a source; one that is not asked is taken as healthy."""
        found = self.sources.get(source)
        return RegionState() if found is None else found.state(now, self.interval_seconds)

    def refresh_gauges(self, now: float) -> None:
        """Set what no event sets, before it is read."""
        for (region, _), source in self.sources.items():
            ADMISSION.labels(region).set(admission(source.health, now))
            if source.received_at is not None:
                REPORT_AGE.labels(region).set(now - source.received_at)

    async def _poll(self, source: Source) -> None:
        while True:
            await self._poll_once(source, self.sources[source])
            await asyncio.sleep(self.interval_seconds)

    async def _poll_once(self, source: Source, kept: RegionSource) -> None:
        fault = ""
        for _attempt in range(ATTEMPTS):
            try:
                async with asyncio.timeout(RESPONSE_SECONDS):
                    report, _ = await fetch_report(self.client.of(source[0]), source[1].rstrip("/") + REGION_PATH)
            except Exception as error:  # noqa: BLE001  # whatever a region sends, the polling goes on
                fault = failure_reason(error)
                detail = str(error)[:300]
                continue
            self._received(source[0], kept, report)
            return
        REPORT_FAILURES.labels(source[0], fault).inc()
        if not kept.health.is_out or kept.health.reason != fault:
            log.warning("region_out", region=source[0], reason=fault, error=detail)
        was_out = kept.health.is_out
        kept.health = after_failure(fault)
        if not was_out:
            self.on_change()

    def _received(self, region: str, kept: RegionSource, report: RegionReport) -> None:
        now = time.monotonic()
        was_out, is_first = kept.health.is_out, kept.received_at is None
        kept.health = after_success(kept.health, now)
        kept.models, kept.received_at = model_reports(report), now
        if was_out and not kept.health.is_out:
            log.info("region_returns", region=region)
        if is_first or was_out != kept.health.is_out:
            self.on_change()


def model_reports(report: RegionReport) -> dict[str, ModelReport]:
    """Return what plans need of a report; requests are counted by gateway, and every gateway has as many."""
    return {
        "/".join(row.ref): ModelReport(
            float(row.rows) if row.ready_pods else 0.0,
            float((row.open_requests + row.held_requests) * report.replicas),
            {country: rate * report.replicas for country, rate in row.arrivals_by_country.items() if country},
        )
        for row in report.models
    }
