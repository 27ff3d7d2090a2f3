"""The work that one event causes does not grow with the rest of the fleet; counted in operations, not in seconds."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from voxfleet_operator import names
from voxfleet_operator.kinds import KINDS, NODE_EVENT, POD_EVENT, Watch
from voxfleet_operator.resources import Key, read_resource

# conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name.
Loop = Any

REGIONS = ("eu", "us", "ap")
SIGN = {"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule"}


def operations_of(work: Callable[[], Any]) -> int:
    """Return how many operations of Python's bytecode some work takes, every step of a loop included."""
    count = 0

    def traced(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return traced

    before = sys.gettrace()
    gc.disable()  # finalizers of what earlier tests left would be counted
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def node(number: int, version: int, *taints: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": f"n{number}", "uid": f"n{number}", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"taints": list(taints)}}


def pod(name: str, region: str, number: int) -> dict[str, Any]:
    labels = names.pool_labels("default", name, region, names.POOL_SPOT)
    metadata = {
        "namespace": "default",
        "name": f"{name}-{region}",
        "uid": "p",
        "resourceVersion": "1",
        "labels": labels,
    }
    return {"metadata": metadata, "spec": {"nodeName": f"n{number}"}, "status": {"phase": "Running"}}


def fleet(loop: Loop, resources: int) -> None:
    """Resources of three regions, each region with one pod on a node of its own."""
    number = 0
    for each in range(resources):
        name = f"voice-{each}"
        metadata = {"namespace": "default", "name": name, "uid": name, "creationTimestamp": "2026-11-23T20:00:00Z"}
        spec = {"regions": [{"name": region} for region in REGIONS]}
        loop.index.put(read_resource({"metadata": metadata, "spec": spec}))
        for region in REGIONS:
            loop.store.on_change(Watch("Node", ""), node(number, 1))
            loop.store.on_change(Watch("Pod", ""), pod(name, region, number))
            number += 1


def event(kind: str, about: str, reason: str) -> dict[str, Any]:
    involved = {"kind": kind, "name": about} | ({"namespace": "default"} if kind == "Pod" else {})
    metadata = {"name": f"{about}.1", "namespace": "default", "uid": "e", "resourceVersion": "5"}
    source = {"component": "karpenter"}
    return {"metadata": metadata, "involvedObject": involved, "reason": reason, "source": source}


EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a node that leaves": ("Node", node(4, 2, SIGN)),
    "a heartbeat": ("Node", node(4, 2)),
    "a node without our pods": ("Node", node(99_999, 2, SIGN)),
    "the provider's notice": (NODE_EVENT, event("Node", "n4", "TerminatingOnInterruption")),
    "an autoscaler's promise": (POD_EVENT, event("Pod", "voice-1-us", "Nominated")),
    "an event on a pod of others": (POD_EVENT, event("Pod", "theirs", "Nominated")),
}


@pytest.mark.parametrize("what", EVENTS)
def test_ten_times_the_fleet_makes_no_event_dearer(loop: Loop, what: str) -> None:
    kind, body = EVENTS[what]
    assert kind in KINDS
    counted, enqueued = [], []
    for resources in (10, 100):
        grown = type(loop)()
        fleet(grown, resources)
        keys: list[Key] = []
        grown.store.enqueue = keys.append
        counted.append(operations_of(lambda store=grown.store: store.on_change(Watch(kind, ""), body)))
        enqueued.append(keys)
    assert counted[0] == counted[1]
    assert enqueued[0] == enqueued[1]
    assert set(enqueued[0]) <= {Key("default", "voice-1")}


async def test_ten_times_the_fleet_makes_no_reconcile_dearer(loop: Loop) -> None:
    key, counted = Key("default", "voice-1"), []
    for resources in (10, 100):
        grown = type(loop)()
        fleet(grown, resources)
        grown.api.objects[f"/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments/{key.name}"] = {
            "metadata": {"namespace": "default", "name": key.name, "uid": key.name, "resourceVersion": "1"}
            | {"creationTimestamp": "2026-11-23T20:00:00Z"},
            "kind": "VoxTTSDeployment",
            "spec": {"regions": [{"name": region} for region in REGIONS]},
        }
        await grown.reconciler.reconcile(key)
        grown.now += 11
        await grown.reconciler.reconcile(key)
        grown.store.on_change(Watch("Node", ""), node(4, 2, SIGN))

        def again(grown: Loop = grown) -> None:
            turn = grown.reconciler.reconcile(key)
            with pytest.raises(StopIteration):
                turn.send(None)  # nothing in the fake waits

        counted.append(operations_of(again))
    assert counted[1] - counted[0] < 100 - 10, "an operation or more for each further resource"
