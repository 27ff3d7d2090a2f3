"""The decision record: a decision and its inputs, as they stand in a request's log line. Pure.

Knows: the JSON form, which `voxfleet-gateway replay` reads back: regions as columns, one value per region in the order
of `name`; what is the same in all of them stands once, in `same`, or not at all when it is the default. So a line of 32
regions stays below 4 KB.
Does not know: logs, files, HTTP.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from voxfleet_gateway.decisions.region_standing import RegionStanding, stand_all
from voxfleet_gateway.decisions.routing import Decision, RegionScore, RouteRequest, explain
from voxfleet_gateway.decisions.snapshot import RegionView


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision with everything that it was made from; scores are computed when they are written."""

    route_request: RouteRequest
    standings: tuple[RegionStanding, ...]
    decision: Decision

    @property
    def views(self) -> tuple[RegionView, ...]:
        """The regions' views: what stands in the log line, and the standings are evaluated from."""
        return tuple(standing.view for standing in self.standings)

    @property
    def scores(self) -> tuple[RegionScore, ...]:
        """Each region's score, or why it has none."""
        return explain(self.standings, self.route_request)


class Recorded(NamedTuple):
    """What a log line says: the record, and the scores as they were written."""

    record: DecisionRecord
    scores: tuple[RegionScore, ...]


_DECISION = TypeAdapter(Decision)
_REQUEST = TypeAdapter(RouteRequest)
_VIEWS = TypeAdapter(tuple[RegionView, ...])
_SCORES = TypeAdapter(tuple[RegionScore, ...])
_VIEW_FIELDS = [(each.name, each.default) for each in fields(RegionView)]  # name is the first
_DECISION_FIELDS = [(each.name, each.default) for each in fields(Decision)]


def to_json(record: DecisionRecord) -> dict[str, Any]:
    """Return the record as JSON values: route_request, region_views, decision; fields with defaults are left out."""
    decision, scores = record.decision, record.scores
    written = ((name, getattr(decision, name), default) for name, default in _DECISION_FIELDS)
    return {
        "route_request": _REQUEST.dump_python(record.route_request, mode="json", exclude_defaults=True),
        "region_views": _to_columns(record.views),
        "decision": {name: value for name, value, default in written if value != default}
        | {
            "score_seconds": [row.score_seconds for row in scores],
            "filtered_by": {row.region: row.filtered_by for row in scores if row.filtered_by is not None},
        },
    }


def from_json(line: dict[str, Any]) -> Recorded:
    """Read a record from a log line; its other keys are ignored. Raises pydantic.ValidationError, KeyError."""
    views, decision = line["region_views"], dict(line["decision"])
    filtered = decision.pop("filtered_by")
    scores = zip(views["name"], decision.pop("score_seconds"), strict=True)
    return Recorded(
        DecisionRecord(
            _REQUEST.validate_python(line["route_request"]),
            stand_all(_VIEWS.validate_python(list(_to_rows(views)))),
            _DECISION.validate_python(decision),
        ),
        _SCORES.validate_python([(name, seconds, filtered.get(name)) for name, seconds in scores]),
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
