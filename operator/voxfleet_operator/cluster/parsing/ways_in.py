"""Parses objects of ways in: what Gateways say about an HTTPRoute, and whether a notebook runs.

Knows the status of both. Keeps nothing.
"""

from typing import Any

from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.decisions.ways_in import NotebookState, RouteState

Body = dict[str, Any]


def parse_route(body: Body, _before: object, _receipt: Receipt) -> RouteState:
    """Return what Gateways refuse of an HTTPRoute: conditions Accepted and ResolvedRefs that are False."""
    parents = (body.get("status") or {}).get("parents") or []
    return RouteState(
        tuple(
            f"{parent['parentRef'].get('namespace') or body['metadata']['namespace']}/{parent['parentRef']['name']}: "
            f"{condition['reason']}: {condition.get('message', '')}".rstrip(": ")
            for parent in parents
            for condition in parent.get("conditions") or []
            if condition["type"] in {"Accepted", "ResolvedRefs"} and condition["status"] == "False"
        )
    )


def parse_notebook(body: Body, _before: object, _receipt: Receipt) -> NotebookState:
    """Return whether the pod of a notebook is ready, if it shall run."""
    wanted = (body.get("spec") or {}).get("replicas", 1)
    return NotebookState(is_settled=(body.get("status") or {}).get("readyReplicas", 0) >= wanted)
