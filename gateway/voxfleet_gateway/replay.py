"""Decides recorded requests again from the gateway's own log lines. Pure, and without aiohttp.

Knows: which log lines hold a decision record. Does not know: how decisions are made (routing.py), where lines are from.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from voxfleet_gateway.decisions.record import from_json
from voxfleet_gateway.decisions.routing import Decision, decide


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recorded decision, and today's decision from the same inputs."""

    request_id: str
    recorded: Decision
    decided: Decision

    @property
    def is_same(self) -> bool:
        """Whether both decisions are equal."""
        return self.recorded == self.decided


def replay(lines: Iterable[str]) -> Iterator[Replayed]:
    """Decide every decision record among the lines again; lines without one are skipped."""
    for line in lines:
        fields = _fields(line)
        if fields is None:
            continue
        record = from_json(fields)
        yield Replayed(fields["request_id"], record.decision, decide(record.region_views, record.route_request))


def _fields(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    has_decision = isinstance(fields, dict) and fields.get("event") == "request" and "decision" in fields
    return fields if has_decision else None
