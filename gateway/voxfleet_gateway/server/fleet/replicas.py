"""GET /internal/fleet of port 9091: what each gateway of a region holds and decided, asked by the one that shows it.

Knows: that the others are asked while something reads the answer, at most once a second, each within a second; for
decisions, whose reasons cost 0.1 ms (one region) to 2 ms (32), only while a page is open.
Does not know: how reports are summed (decisions/fleet/replica_reports.py), how the others are found (cluster/peers.py).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from math import inf

import aiohttp
import structlog
from aiohttp import web
from pydantic import ValidationError

from voxfleet_gateway.decisions.fleet.replica_reports import (
    NO_OTHERS,
    HeldByOthers,
    ReplicaReport,
    ReplicaReports,
    held_rows,
)
from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.location.rtt_sync import read_bounded
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.server.fleet.contract import FleetDecision
from voxfleet_gateway.server.fleet.feed import FleetFeed
from voxfleet_gateway.telemetry import UNREADABLE_DECISIONS
from voxfleet_gateway.tokens import BEARER, internal_matches

REPLICA_PATH = "/internal/fleet"
POLL_SECONDS, FETCH_SECONDS = 1.0, 1.0
FETCHES_AT_ONCE = 16
KEPT_SECONDS = 0.1  # a sum serves all rows that are made within so long
MAX_BYTES = 2**20  # a decision about 32 regions has 8 KB, a row 100 bytes

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class GatewayReplicas:
    """Asks the other gateways of this region. `on_change`: the regions whose sums have changed."""

    session: aiohttp.ClientSession
    others: Callable[[], Sequence[PodAddress]]
    token: str
    on_change: Callable[[Iterable[RegionKey]], None] = lambda _keys: None
    on_silence: Callable[[], None] = lambda: None
    on_decisions: Callable[[Sequence[FleetDecision]], None] = lambda _decisions: None
    clock: Callable[[], float] = time.monotonic
    reports: ReplicaReports = field(default_factory=ReplicaReports)
    kept: tuple[float, HeldByOthers] = (-inf, NO_OTHERS)  # until when, and the sum
    announced: HeldByOthers = NO_OTHERS  # the sum of which `on_change` and `on_silence` know
    asked: dict[bool, float] = field(default_factory=lambda: {False: -inf, True: -inf})  # with decisions: when
    asking: asyncio.Task[None] | None = None
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FETCHES_AT_ONCE))

    def held(self) -> HeldByOthers:
        """Return what the others hold, by reports that are seconds old."""
        until_seconds, held = self.kept
        if self.clock() >= until_seconds:
            held = self._sum()
            self.kept = self.clock() + KEPT_SECONDS, held
        return held

    def _sum(self) -> HeldByOthers:
        return self.reports.held(self.others(), self.clock())

    def begin(self, *, has_decisions: bool = True) -> None:
        """Ask the others, unless that was done within the last second; returns at once."""
        if not self.others() and self.announced.others:  # the last of them has left, and what it held with it
            self._announce()
        now_seconds = self.clock()
        is_due = now_seconds - self.asked[has_decisions] >= POLL_SECONDS
        if self.asking is None and is_due and self.others():
            self.asked |= {False: now_seconds} | ({True: now_seconds} if has_decisions else {})
            asking = self._ask_all(has_decisions=has_decisions)
            self.asking = asyncio.create_task(asking, name="gateways of this region")

    async def refresh(self) -> None:
        """Ask the others, and wait for those that answer."""
        for _ in range(2):  # what is being asked may be without decisions
            self.begin()
            if self.asking is not None:
                await asyncio.wait([self.asking])

    async def stop(self) -> None:
        """End what is being asked."""
        if self.asking is not None:
            self.asking.cancel()
            await asyncio.gather(self.asking, return_exceptions=True)

    async def _ask_all(self, *, has_decisions: bool) -> None:
        try:
            await asyncio.gather(*(self._ask(address, has_decisions=has_decisions) for address in self.others()))
            self._announce()
        finally:
            self.asking = None

    def _announce(self) -> None:
        """Pass on how the sum differs from the one passed on last; `kept` changes between, as reports age."""
        before, after = self.announced, self._sum()
        self.announced, self.kept = after, (self.clock() + KEPT_SECONDS, after)
        self.on_change({key for key in before.counts | after.counts if before.of(key) != after.of(key)})
        if before.silent != after.silent:
            self.on_silence()

    async def _ask(self, address: PodAddress, *, has_decisions: bool) -> None:
        query = f"?after={self.reports.number(address)}" if has_decisions else ""
        async with self.free:
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    report = await self._fetch(address.internal_url(REPLICA_PATH + query))
            except (aiohttp.ClientError, OSError, TimeoutError, ValidationError) as error:
                log.debug("gateway_replica_silent", reason=type(error).__name__)
                return
        self.reports.record(address, report, self.clock())
        self.on_decisions(list(_readable(report)))

    async def _fetch(self, url: str) -> ReplicaReport:
        headers = {"Authorization": BEARER + self.token, "Accept-Encoding": "identity"}
        async with self.session.get(url, headers=headers, allow_redirects=False) as response:
            response.raise_for_status()
            return ReplicaReport.model_validate_json(await read_bounded(response, MAX_BYTES))


def _readable(report: ReplicaReport) -> Iterator[FleetDecision]:
    """Yield a report's decisions; one that is not understood, as of a newer gateway, is skipped, counted and logged."""
    for each in report.decisions:
        try:
            yield FleetDecision.model_validate(each, extra="ignore")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            UNREADABLE_DECISIONS.inc()
            log.warning("fleet_decision_skipped", gateway=report.gateway, field=field, reason=first["msg"])


@dataclass(frozen=True, slots=True)
class ReplicaHandler:
    """What this gateway answers the others."""

    feed: FleetFeed
    token: str

    async def get(self, request: web.Request) -> web.Response:
        """Respond with the held requests, and the decisions after the one that the query names, if it names one.

        401 without a token.
        """
        if not internal_matches(request.headers, self.token):
            message = {"error": {"message": "A valid bearer token is required."}}
            return web.json_response(message, status=HTTPStatus.UNAUTHORIZED)
        after, fleet = request.query.get("after", ""), self.feed.source.fleet
        decisions = self.feed.own_decisions(int(after)) if after.isdecimal() else []
        report = ReplicaReport(
            gateway=self.feed.gateway,
            number=self.feed.recent.number if after.isdecimal() else 0,
            held=held_rows([*fleet.regions], fleet.held),
            decisions=tuple(each.model_dump(mode="json") for each in decisions),
        )
        return web.Response(text=report.model_dump_json(), content_type="application/json")

    def add_to(self, app: web.Application) -> None:
        """Add the route of port 9091."""
        app.router.add_get(REPLICA_PATH, self.get)
