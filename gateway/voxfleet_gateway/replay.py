"""Decides recorded requests again from the gateway's own log lines. Pure, and without aiohttp.

Knows: which log lines hold a decision record. Does not know: how decisions are made (routing.py), where lines are from.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from voxfleet_gateway.decisions.record import DecisionRecord, Recorded, from_json
from voxfleet_gateway.decisions.routing import decide


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recorded decision, and today's decision from the same inputs."""

    request_id: str
    recorded: Recorded
    decided: DecisionRecord

    @property
    def is_same(self) -> bool:
        """Whether both decisions are equal, and every region's score."""
        return (self.recorded.record.decision, self.recorded.scores) == (self.decided.decision, self.decided.scores)


def replay(lines: Iterable[str]) -> Iterator[Replayed]:
    """Decide every decision record among the lines again; lines without one are skipped."""
    for line in lines:
        fields = _fields(line)
        if fields is None:
            continue
        recorded = from_json(fields)
        record = recorded.record
        decided = replace(record, decision=decide(record.standings, record.route_request))
        yield Replayed(fields["request_id"], recorded, decided)


def _fields(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    has_decision = isinstance(fields, dict) and fields.get("event") == "request" and "decision" in fields
    return fields if has_decision else None
