"""The decision record: a decision and its inputs, as they stand in a request's log line. Pure.

Knows: the JSON form, which `voxfleet-gateway replay` reads back: regions as columns, one value per region in the order
of `name`; what is the same in all of them stands once, in `same`, or not at all when it is the default. So a line of 32
regions stays below 4 KB.
Does not know: logs, files, HTTP.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
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


_FORM = TypeAdapter(DecisionRecord)
_REQUEST = TypeAdapter(RouteRequest)
_VIEW_FIELDS = [(each.name, each.default) for each in fields(RegionView)]  # name is the first
_DECISION_FIELDS = [(each.name, each.default) for each in fields(Decision) if each.name != "scores"]


def to_json(record: DecisionRecord) -> dict[str, Any]:
    """Return the record as JSON values: route_request, region_views, decision; fields with defaults are left out."""
    decision = record.decision
    written = ((name, getattr(decision, name), default) for name, default in _DECISION_FIELDS)
    return {
        "route_request": _REQUEST.dump_python(record.route_request, mode="json", exclude_defaults=True),
        "region_views": _to_columns(record.region_views),
        "decision": {name: value for name, value, default in written if value != default}
        | {
            "score_seconds": [row.score_seconds for row in decision.scores],
            "filtered_by": {row.region: row.filtered_by for row in decision.scores if row.filtered_by is not None},
        },
    }


def from_json(line: dict[str, Any]) -> DecisionRecord:
    """Read a record from a log line; its other keys are ignored. Raises pydantic.ValidationError, KeyError."""
    views, decision = line["region_views"], dict(line["decision"])
    filtered = decision.pop("filtered_by")
    scores = zip(views["name"], decision.pop("score_seconds"), strict=True)
    return _FORM.validate_python(
        {
            "route_request": line["route_request"],
            "region_views": list(_to_rows(views)),
            "decision": decision | {"scores": [(name, seconds, filtered.get(name)) for name, seconds in scores]},
        }
    )


def _to_columns(views: tuple[RegionView, ...]) -> dict[str, Any]:
    columns: dict[str, Any] = {"name": [view.name for view in views]}
    same = {}
    for name, default in _VIEW_FIELDS[1:]:
        values = [getattr(view, name) for view in views]
        if values.count(values[0] if values else default) < len(values):
            columns[name] = values
        elif values and values[0] != default:
            same[name] = values[0]
    return columns | ({"same": same} if same else {})


def _to_rows(columns: dict[str, Any]) -> Iterable[dict[str, Any]]:
    same, varied = columns.get("same", {}), {name: values for name, values in columns.items() if name != "same"}
    for values in zip(*varied.values(), strict=True):
        yield same | dict(zip(varied, values, strict=True))
