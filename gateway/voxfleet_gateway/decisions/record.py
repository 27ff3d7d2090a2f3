"""The decision record: a decision and its inputs, as they stand in a request's log line. Pure.

Knows: the JSON form, which `voxfleet-gateway replay` reads back. Does not know: logs, files, HTTP.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from voxfleet_gateway.decisions.routing import Decision, RouteRequest
from voxfleet_gateway.decisions.snapshot import RegionView


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision with everything that it was made from; the field names are the keys of the log line."""

    route_request: RouteRequest
    region_views: tuple[RegionView, ...]
    decision: Decision


# Compiled once; dumping with it is ten times as fast as dataclasses.asdict, and it happens for every request.
_FORM = TypeAdapter(DecisionRecord)


def to_json(record: DecisionRecord) -> dict[str, Any]:
    """Return the record as JSON values: route_request, region_views, decision."""
    fields: dict[str, Any] = _FORM.dump_python(record, mode="json")
    return fields


def from_json(line: dict[str, Any]) -> DecisionRecord:
    """Read a record from a log line; its other keys are ignored. Raises pydantic.ValidationError."""
    return _FORM.validate_python(line)
