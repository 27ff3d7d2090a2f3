"""The two sides of the comparison, and how each asks for nodes and gives them back.

Knows the paths of the Deployments. Does not know how the cluster was started.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voxfleet_demo.spot.environment import MODEL_REQUESTS, REGION, SpotEnvironment, example
from voxfleet_operator.names import POOL_SPOT, workload_name
from voxfleet_testbed.cluster.karpenter import NODE_CLAIMS
from voxfleet_testbed.cluster.simulated_nodes import ANNOTATION_ENDS_ITSELF
from voxfleet_testbed.events import Report, phase

NAME, BARE = "fleet", "bare"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BARE_PODS = "/api/v1/namespaces/default/pods?labelSelector=app%3Dbare"
FLEET_PODS = f"/api/v1/namespaces/default/pods?labelSelector=voxfleet.dev%2Fdeployment%3D{NAME}"
DEADLINE_SECONDS = 1200.0
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Side:
    """What one side took."""

    name: str
    first_running_seconds: float
    all_running_seconds: float
    most_claims: int  # NodeClaims that existed at once: more than pods is money for nothing
    gone_seconds: float  # from replicas at zero to the last node given back

    def row(self) -> dict[str, str | float | int]:
        """Return the figures by their labels."""
        return {
            "side": self.name,
            "first pod runs, s": round(self.first_running_seconds, 1),
            "all pods run, s": round(self.all_running_seconds, 1),
            "most NodeClaims at once": self.most_claims,
            "zero replicas to no node, s": round(self.gone_seconds, 1),
        }


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """How one side asks for its nodes and gives them back, and where its pods are."""

    name: str
    pods: str
    ask: Callable[[], None]
    give_back: Callable[[], None]


def measure_sides(environment: SpotEnvironment, nodes: int, report: Report) -> tuple[Side, ...]:
    """Measure VoxFleet first, because the bare Deployment takes over its pod template."""
    environment.apply(fleet(nodes))
    path = f"{DEPLOYMENTS}/{workload_name(NAME, REGION, POOL_SPOT)}"
    environment.until(lambda: environment.api.get(path), "the operator made the spot Deployment", 120)
    template = environment.api.get(path)["spec"]["template"]
    with phase(report, f"VoxFleet: {nodes} nodes and back"):
        demand = NodeRequest(
            "VoxFleet",
            FLEET_PODS,
            ask=lambda: environment.hold(NAME, nodes * MODEL_REQUESTS),
            give_back=lambda: _sleep(environment, path),
        )
        ours = _measure(environment, nodes, demand)
    environment.api.delete(f"/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments/{NAME}")
    environment.api.apply(f"{DEPLOYMENTS}/{BARE}", bare_deployment(template))
    with phase(report, f"bare Deployment: {nodes} nodes and back"):
        by_hand = NodeRequest(
            "bare Deployment",
            BARE_PODS,
            ask=lambda: _scale(environment, nodes),
            give_back=lambda: _scale(environment, 0),
        )
        bare = _measure(environment, nodes, by_hand)
    return ours, bare


def give_back_nodes(environment: SpotEnvironment) -> None:
    """Delete the bare Deployment; the cluster ends right after."""
    environment.api.delete(f"{DEPLOYMENTS}/{BARE}")


def fleet(nodes: int) -> dict[str, Any]:
    """Return a resource that asks for all nodes at once and sleeps five seconds after the last request."""
    manifest = example(
        NAME,
        # A wait of minutes is normal here: no fallback, so that both sides ask for spot alone.
        capacity={"spot": "Required"},
        autoscaling={"maxReplicas": nodes, "idleTimeoutSeconds": 5, "scaleDownStabilizationSeconds": 0},
    )
    # kwok ends the pods of both sides alike.
    del manifest["spec"]["podTemplate"]["metadata"]["annotations"][ANNOTATION_ENDS_ITSELF]
    return manifest


def bare_deployment(template: dict[str, Any]) -> dict[str, Any]:
    """Return a Deployment of the operator's own pods, without its labels and annotations."""
    labels = {"app": BARE}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}}
    bare_template = {"metadata": {"labels": labels}, "spec": template["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": BARE, "namespace": "default"},
        "spec": spec | {"template": bare_template},
    }


def _measure(environment: SpotEnvironment, nodes: int, request: NodeRequest) -> Side:
    first: list[float] = []
    most_claims = 0
    started = time.monotonic()
    request.ask()

    def all_run() -> bool:
        nonlocal most_claims
        running: int = sum(
            each["status"].get("phase") == "Running" for each in environment.api.get(request.pods)["items"]
        )
        most_claims = max(most_claims, len(environment.api.get(NODE_CLAIMS)["items"]))
        if running and not first:
            first.append(time.monotonic() - started)
        return running >= nodes

    all_seconds = environment.until(all_run, f"{request.name}: {nodes} pods run", DEADLINE_SECONDS)
    request.give_back()
    gone_seconds = environment.until(
        lambda: not environment.cluster.claims() and not environment.cluster.nodes(),
        f"{request.name}: all nodes are given back",
        DEADLINE_SECONDS,
    )
    return Side(request.name, first[0], all_seconds, most_claims, gone_seconds)


def _sleep(environment: SpotEnvironment, path: str) -> None:
    """End the demand, and wait for replicas at zero: the idle timeout before that is the user's choice."""
    environment.hold(NAME, 0)
    environment.until(lambda: environment.api.get(path)["spec"]["replicas"] == 0, "replicas are zero", DEADLINE_SECONDS)


def _scale(environment: SpotEnvironment, replicas: int) -> None:
    environment.api.request("PATCH", f"{DEPLOYMENTS}/{BARE}/scale", {"spec": {"replicas": replicas}}, MERGE_PATCH)
