"""What one caller may read of the fleet: its own models, its own decisions; costs only with the right to operate.

Knows: which rows and decisions a caller gets, and how an event is put together from them. Rows are written once for all
callers, an event once for all callers of equal rights. Does not know: sockets; when an event is sent (events.py).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import dumps
from typing import Literal, NamedTuple

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.server.fleet.feed import FleetFeed, Written


class Rights(NamedTuple):
    """What decides which rows a caller gets."""

    tenant: str
    models: frozenset[str] | None
    may_operate: bool


class FleetEvent(NamedTuple):
    """One event; a change has whole rows, and a snapshot replaces all of them."""

    kind: Literal["snapshot", "change"]
    version: int
    body: str

    @property
    def frame(self) -> bytes:
        """The event as it is sent."""
        return f"event: {self.kind}\nid: {self.version}\ndata: {self.body}\n\n".encode()


@dataclass(slots=True)
class Audience:
    """Puts events together. `may_use`: whether a model is one of the caller's."""

    feed: FleetFeed
    may_use: Callable[[ModelEntry, Caller], bool]
    gateway: str
    gateway_region: str
    frames: dict[tuple[Rights, int], tuple[int, FleetEvent]] = field(default_factory=dict)  # by rights and `since`

    def snapshot(self, caller: Caller) -> str:
        """Return everything that the caller may read, as a FleetSnapshot."""
        return self._body(caller, 0, head=True)

    def event(self, caller: Caller, since: int) -> FleetEvent:
        """Return what has changed for the caller since a version, 0 for everything."""
        rights = Rights(caller.tenant, caller.models, caller.may_operate)
        version = self.feed.version
        kept_version, kept = self.frames.get((rights, since), (-1, None))
        if kept is None or kept_version != version:
            is_whole = since <= self.feed.reset_version or since == 0
            body = self._body(caller, 0 if is_whole else since, head=is_whole)
            kept = FleetEvent("snapshot" if is_whole else "change", version, body)
            self.frames = {key: value for key, value in self.frames.items() if value[0] == version}
            self.frames[rights, since] = version, kept
        return kept

    def _body(self, caller: Caller, since: int, *, head: bool) -> str:
        parts = {"at": dumps(datetime.now(UTC).isoformat()), "version": str(self.feed.version)}
        if head:
            parts |= {"gateway": dumps(self.gateway), "gateway_region": dumps(self.gateway_region)}
            parts |= {"may_operate": dumps(caller.may_operate)}
        parts["regions"] = _join(self._readable(self.feed.rows.values(), caller, since), caller)
        decisions = [each for each in self.feed.decisions.values() if _is_own(each, caller)]
        parts["decisions"] = _join(self._readable(decisions, caller, since), caller)
        return "{" + ",".join(f'"{name}":{value}' for name, value in parts.items()) + "}"

    def _readable(self, rows: Iterable[Written], caller: Caller, since: int) -> list[Written]:
        return [row for row in rows if row.version > since and self.may_use(row.model, caller)]


def _is_own(decision: Written, caller: Caller) -> bool:
    return caller.may_operate or decision.tenant == caller.tenant


def _join(rows: Iterable[Written], caller: Caller) -> str:
    return "[" + ",".join(row.full if caller.may_operate else row.public for row in rows) + "]"
