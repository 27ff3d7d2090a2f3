"""Events on pods and nodes: their times and sources as recorders write them, and which resources they concern."""

from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.parsing.events import parse_node_event, parse_pod_event
from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.decisions.observed import Cause, InterruptionState
from voxfleet_operator.decisions.timestamps import to_micro_time, to_rfc3339
from voxfleet_operator.kinds import NODE_EVENT, POD_EVENT, ObjectRef, Watch
from voxfleet_operator.resources import Key, read_resource

NOW = 1_795_000_000.0
LATER = Receipt(NOW + 60, is_listing=False)
NARRATOR = Key("default", "narrator")
PODS, POD_EVENTS, NODE_EVENTS = Watch("Pod", ""), Watch(POD_EVENT, ""), Watch(NODE_EVENT, "")
OF_RECORDERS: dict[str, dict[str, Any]] = {
    "core": {
        "source": {"component": "karpenter"},
        "firstTimestamp": to_rfc3339(NOW),
        "lastTimestamp": to_rfc3339(NOW + 9),
    },
    "events.k8s.io": {
        "reportingComponent": "karpenter",
        "source": {},
        "firstTimestamp": None,
        "eventTime": to_micro_time(NOW),
        "series": {"count": 2, "lastObservedTime": to_micro_time(NOW + 9)},
    },
}


def event(reason: str, version: int = 1, about: str = "spot-1", kind: str = "Pod", **fields: Any) -> dict[str, Any]:
    involved = {"kind": kind, "name": about} | ({"namespace": "default"} if kind == "Pod" else {})
    metadata = {"name": f"{about}.{version}", "namespace": "default", "uid": "e", "resourceVersion": str(version)}
    return {"metadata": metadata, "involvedObject": involved, "reason": reason, **OF_RECORDERS["core"], **fields}


@pytest.mark.parametrize("fields", OF_RECORDERS.values(), ids=OF_RECORDERS)
def test_times_and_source_of_both_generations_of_recorders(fields: dict[str, Any]) -> None:
    bare = {key: value for key, value in event("Nominated").items() if key not in OF_RECORDERS["core"]}
    assert parse_pod_event({**bare, **fields}, None, LATER) == ScaleUpState(True, NOW, "karpenter")
    assert parse_node_event({**bare, **fields}, None, LATER) == InterruptionState(NOW + 9)


def test_a_clock_that_is_ahead_does_not_prolong_the_wait() -> None:
    said = parse_pod_event(event("Nominated", firstTimestamp=to_rfc3339(NOW + 900)), None, LATER)
    assert said == ScaleUpState(True, LATER.at, "karpenter")


def store() -> tuple[Store, list[Key]]:
    enqueued: list[Key] = []
    return Store(enqueued.append, lambda _key: None, 9091, clock=lambda: NOW + 60), enqueued


def said_of(seen: Store) -> ScaleUpState | None:
    return seen.state(ObjectRef(POD_EVENT, "default", "spot-1"), ScaleUpState)


def pod(version: int = 1, node: str = "", **status: Any) -> dict[str, Any]:
    labels = names.pool_labels("default", "narrator", "eu", names.POOL_SPOT)
    metadata = {"namespace": "default", "name": "spot-1", "uid": "p", "resourceVersion": str(version)}
    metadata |= {"labels": labels, "creationTimestamp": to_rfc3339(NOW)}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": status}


def test_an_event_concerns_the_resource_of_its_pod_and_a_repeated_one_nothing() -> None:
    seen, enqueued = store()
    seen.on_list(PODS, [pod()])
    enqueued.clear()
    seen.on_change(POD_EVENTS, event("Nominated"))
    assert enqueued == [NARRATOR]
    seen.on_change(POD_EVENTS, event("Nominated", 2))
    seen.on_change(POD_EVENTS, event("Evicted", 3))
    seen.on_change(POD_EVENTS, event("Nominated", 4, about="a-pod-of-others"))
    assert enqueued == [NARRATOR]


def test_events_that_say_nothing_about_nodes_are_not_kept() -> None:
    seen, _ = store()
    for version in range(100):
        seen.on_change(POD_EVENTS, event("TaintManagerEviction", version, about=f"p{version}"))
    assert len(seen.states) == len(seen.objects) == len(seen.versions) == 0


def test_a_listing_counts_in_the_order_of_its_versions_whatever_its_own() -> None:
    """A listing is sorted by name; an operator that starts must not take a refusal for the newest word."""
    refused = event("FailedScheduling", 5, lastTimestamp=to_rfc3339(NOW + 5))
    comes = event("Nominated", 9, firstTimestamp=to_rfc3339(NOW + 9))
    for bodies in ([refused, comes], [comes, refused]):
        seen, _ = store()
        for _ in range(2):
            seen.on_list(POD_EVENTS, bodies)
            said = said_of(seen)
            assert said is not None
            assert (said.is_coming, said.since) == (True, NOW + 9)


def test_an_event_that_arrives_before_its_pod_is_known_with_the_pod() -> None:
    seen, _ = store()
    seen.on_list(POD_EVENTS, [event("Nominated")])
    seen.on_list(PODS, [pod()])
    assert observed(seen).scale_up == ScaleUpState(True, NOW, "karpenter")
    seen.on_list(POD_EVENTS, [])
    assert observed(seen).scale_up is None


def observed(seen: Store) -> Any:
    metadata = {"namespace": "default", "name": "narrator", "uid": "u", "creationTimestamp": to_rfc3339(NOW)}
    resource = read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}]}})
    (found,) = Observer(seen, "demand").observe(resource, NOW + 60).regions["eu"].pods
    return found


def test_the_providers_notice_makes_karpenters_taint_a_reclaim() -> None:
    seen, enqueued = store()
    taints = [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]
    node = {"metadata": {"name": "n1", "uid": "n", "resourceVersion": "1"}, "spec": {"taints": taints}}
    seen.on_list(Watch("Node", ""), [node])
    seen.on_list(PODS, [pod(node="n1")])
    assert (observed(seen).leaving.cause, observed(seen).reclaimed_at) == (Cause.CHOICE, None)
    enqueued.clear()
    seen.on_change(NODE_EVENTS, event("TerminatingOnInterruption", about="n1", kind="Node"))
    assert enqueued == [NARRATOR]
    assert (observed(seen).leaving.cause, observed(seen).reclaimed_at) == (Cause.RECLAIM, NOW + 60)
    assert observed(seen).leaving.reason.endswith("by the provider's notice")


def test_a_notice_about_an_earlier_node_of_the_same_name_is_none() -> None:
    seen, _ = store()
    taints = [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]
    node = {"metadata": {"name": "n1", "uid": "n", "resourceVersion": "1"}, "spec": {"taints": taints}}
    seen.on_list(Watch("Node", ""), [node])
    seen.on_list(PODS, [pod(node="n1")])
    before = to_rfc3339(NOW - 600)
    earlier = event("TerminatingOnInterruption", about="n1", kind="Node", firstTimestamp=before, lastTimestamp=before)
    seen.on_list(NODE_EVENTS, [earlier])
    assert observed(seen).reclaimed_at is None
