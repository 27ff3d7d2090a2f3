"""Decides recorded requests again from the gateway's own log lines. Pure, and without aiohttp.

Knows: which log lines hold a decision record. Does not know: how decisions are made (routing.py), where lines are from.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from voxfleet_gateway.decisions.record import DecisionRecord, Recorded, from_json
from voxfleet_gateway.decisions.routing import decide
from voxfleet_gateway.errors import RecordError


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
    """Decide every decision record among the lines again; lines without one are skipped. Raises RecordError."""
    for number, line in enumerate(lines, 1):
        fields = _fields(line)
        if fields is None:
            continue
        yield _replayed(fields, number)


def _replayed(fields: dict[str, Any], number: int) -> Replayed:
    try:
        recorded = from_json(fields)
        record = recorded.record
        decided = replace(record, decision=decide(record.standings, record.route_request))
        return Replayed(str(fields.get("request_id", "")), recorded, decided)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"line {number}: {where}: {first['msg']}, given {first['input']!r:.80}") from error
    except KeyError as error:
        raise RecordError(f"line {number}: the field {error} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise RecordError(f"line {number} is no decision record: {error}") from error


def _fields(line: str) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    has_decision = isinstance(fields, dict) and fields.get("event") == "request" and "decision" in fields
    return fields if has_decision else None
