"""The rows and decisions of the fleet page, each with the version at which it last changed.

Knows: which rows are made again, and that making many yields to requests in between. What was marked is made at the
next refresh, so that a region that changes a hundred times a second is made a few times. Decisions are this gateway's
and those that the others of its region report. Does not know: which callers read the rows.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from voxfleet_gateway.decisions.explanation.reasons import decision_reasons
from voxfleet_gateway.decisions.fleet.recent_decisions import MOST_DECISIONS, RecentDecision, RecentDecisions
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.server.fleet.contract import DecisionReason, DecisionRegion, FleetDecision
from voxfleet_gateway.server.fleet.rows import AGE_SECONDS, FleetRows

ROWS_AT_ONCE = 16  # about 2 ms
NO_TIME = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Written:
    """A row or a decision as JSON: for callers that may operate, and for all others."""

    version: int
    model: ModelEntry
    full: str
    public: str
    tenant: str = ""
    has_age: bool = False
    at: datetime = NO_TIME  # of a decision


@dataclass(slots=True)
class FleetFeed:
    """The rows and decisions. A reader with an older version than `reset_version` needs everything: rows have left.

    `ask_others`: has the region's other gateways asked for what they hold, and returns at once.
    """

    source: FleetRows
    recent: RecentDecisions
    gateway: str = ""
    ask_others: Callable[[], None] = lambda: None
    version: int = 0
    reset_version: int = 0
    rows: dict[RegionKey, Written] = field(default_factory=dict)
    decisions: dict[str, Written] = field(default_factory=dict)  # by request, oldest decision first
    reported: list[FleetDecision] = field(default_factory=list)  # by other gateways, and not written yet
    process: str = field(default_factory=lambda: secrets.token_hex(4))  # a gateway that restarts counts from 1 again
    marked: set[RegionKey] = field(default_factory=set)
    aged_seconds: float = 0.0
    number: int = 0
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def mark(self, key: RegionKey) -> None:
        """Make the region's row again at the next refresh."""
        self.marked.add(key)

    def mark_many(self, keys: Iterable[RegionKey]) -> None:
        """Make the rows of these regions again at the next refresh."""
        self.marked.update(keys)

    def mark_all(self) -> None:
        """Make every row again at the next refresh."""
        self.marked.update(self.rows)

    def report_decisions(self, decisions: Sequence[FleetDecision]) -> None:
        """Add decisions of another gateway at the next refresh."""
        self.reported = [*self.reported, *decisions][-MOST_DECISIONS:]

    def own_decisions(self, after: int) -> list[FleetDecision]:
        """Return this gateway's decisions after a number of its own; all for one of a process before this."""
        newer = self.recent.newer_than(after if after <= self.recent.number else 0)
        return [fleet_decision(each, self.gateway, self.process) for each in newer]

    async def refresh(self) -> None:
        """Bring rows and decisions up to date; the version rises when one has changed."""
        self.ask_others()
        async with self.refreshing:
            version = self.version + 1
            is_changed = self._drop_left(version)
            self._mark_new()
            pending, self.marked = self.marked, set()
            for count, key in enumerate(sorted(pending & self.source.fleet.regions.keys())):
                is_changed = self._write(key, version) or is_changed
                if count % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                    await asyncio.sleep(0)
            if self._write_decisions(version) or is_changed:
                self.version = version

    def _drop_left(self, version: int) -> bool:
        left = [key for key in self.rows if not self._is_shown(key)]
        for key in left:
            del self.rows[key]
        self.reset_version = version if left else self.reset_version
        return bool(left)

    def _is_shown(self, key: RegionKey) -> bool:
        region = self.source.fleet.regions.get(key)
        return region is not None and region.is_registered

    def _mark_new(self) -> None:
        self.marked |= {key for key in self.source.fleet.regions if key not in self.rows}
        now_seconds = self.source.fleet.clock()
        if now_seconds - self.aged_seconds >= AGE_SECONDS:
            self.aged_seconds = now_seconds
            self.marked |= {key for key, row in self.rows.items() if row.has_age}

    def _write(self, key: RegionKey, version: int) -> bool:
        if not self._is_shown(key):
            return False
        row, old = self.source.row(key), self.rows.get(key)
        full = row.model_dump_json()
        if old is not None and old.full == full:
            return False
        public = row.model_copy(update={"cost": None}).model_dump_json() if row.cost is not None else full
        model = self.source.fleet.regions[key].model
        self.rows[key] = Written(version, model, full, public, has_age=row.as_of is not None)
        return True

    def _write_decisions(self, version: int) -> bool:
        newer, models = [*self.own_decisions(self.number), *self.reported], self.source.fleet.registry().entries
        self.number, self.reported = self.recent.number, []
        for row in newer:
            if (model := models.get((row.namespace, row.name))) is not None:
                public = row.model_copy(update={"tenant": None}).model_dump_json()
                full = row.model_dump_json()
                self.decisions[row.id] = Written(version, model, full, public, row.tenant or "", at=row.at)
        if newer:
            kept = sorted(self.decisions.items(), key=lambda each: each[1].at)[-MOST_DECISIONS:]
            self.decisions = dict(kept)
        return bool(newer)


def fleet_decision(recent: RecentDecision, gateway: str, process: str) -> FleetDecision:
    """Return a decision as the page gets it."""
    decided, (namespace, name) = recent.decided, recent.model
    decision, explained = decided.decision, decision_reasons(decided)
    return FleetDecision(
        id=f"{process}-{recent.first}",
        gateway=gateway,
        number=recent.number,
        request_id=recent.request_id,
        at=datetime.fromtimestamp(recent.at, UTC),
        namespace=namespace,
        name=name,
        tenant=recent.tenant,
        action=decision.action,
        region=decision.region,
        route=decision.route,
        reasons=tuple(map(DecisionReason.model_validate, explained.summary)),
        country=decided.route_request.client_country,
        wakes=decision.wake,
        wake_estimate_seconds=decision.wake_estimate_seconds,
        regions=tuple(DecisionRegion.model_validate(each) for each in explained.regions),
    )
