"""Parses Events of the core API: what autoscalers say about pods, and that a provider takes a node.

Knows which fields hold an event's times and source: two generations of recorders write different ones. Does not know
what the words of autoscalers mean (decisions/capacity/scale_up.py), nor which events are watched (kinds/table.py).
"""

from typing import Any

from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.decisions.capacity.scale_up import AutoscalerEvent, ScaleUpState, scale_up_after
from voxfleet_operator.decisions.observed import InterruptionState
from voxfleet_operator.decisions.timestamps import to_seconds

Body = dict[str, Any]


def parse_pod_event(body: Body, before: object, receipt: Receipt) -> ScaleUpState | None:
    """Return what is known of a pod's node after an event on the pod; None while nothing is."""
    first_at, last_at = _times(body, receipt)
    source = (body.get("source") or {}).get("component") or body.get("reportingComponent", "")
    event = AutoscalerEvent(body.get("reason", ""), source, first_at, last_at, body.get("message", ""))
    return scale_up_after(before if isinstance(before, ScaleUpState) else None, event)


def parse_node_event(body: Body, _before: object, receipt: Receipt) -> InterruptionState:
    """Return when the provider's notice about a node arrived."""
    return InterruptionState(_times(body, receipt)[1])


def _times(body: Body, receipt: Receipt) -> tuple[float, float]:
    """Return the times of the first and the newest occurrence; none is later than the receipt by this clock."""
    created_at = to_seconds(body["metadata"].get("creationTimestamp")) or receipt.at
    first_at = to_seconds(body.get("firstTimestamp")) or to_seconds(body.get("eventTime")) or created_at
    repeated_at = to_seconds((body.get("series") or {}).get("lastObservedTime"))
    last_at = to_seconds(body.get("lastTimestamp")) or repeated_at or first_at
    return min(first_at, receipt.at), min(last_at, receipt.at)
