"""Decides recorded requests again, from the gateway's own log lines. Pure apart from reading the file.

Knows: the decision record's form. Does not know: how decisions are made (routing.py does).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from voxfleet_gateway.decisions.routing import Decision, decide
from voxfleet_gateway.server.request_context import DECISION_FORM, REQUEST_FORM, VIEWS_FORM


@dataclass(frozen=True, slots=True)
class Replayed:
    """One record, decided again."""

    request_id: str
    recorded: Decision
    decided: Decision

    @property
    def same(self) -> bool:
        """Whether today's code decides as the recorded gateway did."""
        return self.recorded == self.decided


def replay(lines: Iterable[str]) -> Iterator[Replayed]:
    """Decide every decision record among the lines; other lines are skipped."""
    for line in lines:
        record = _record(line)
        if record is None:
            continue
        decided = decide(
            VIEWS_FORM.validate_python(record["region_views"]), REQUEST_FORM.validate_python(record["route_request"])
        )
        yield Replayed(record["request_id"], DECISION_FORM.validate_python(record["decision"]), decided)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    usable = isinstance(record, dict) and record.get("event") == "request" and "decision" in record
    return record if usable else None
