"""The steps of the spot scenario: wake on spot, run out of spot, come back, lose a node, be consolidated, fall asleep.

Each step changes one thing that a cloud or a client would change, and waits for the final state. Knows the environment.
Does not know what is printed; the demo shows these steps, the integration tests assert them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from voxfleet_testbed.cluster.karpenter import SPOT, NodePool
from voxfleet_testbed.cluster.simulated_cluster import SimulatedNode

from voxfleet_demo.spot.environment import (
    LARGE,
    MODEL_REQUESTS,
    ON_DEMAND_POOL,
    SMALL,
    SPOT_POOL,
    SpotEnvironment,
)
from voxfleet_demo.spot.simulated_pods import PodFacts
from voxfleet_demo.spot.streams import Stream

# Fewer than the replicas carry, so that a stream beside them asks for no further one.
SPARE_REQUESTS = 4
STEP_SECONDS = 300.0  # an idle machine needs 10 to 40 s for a step; one that runs other tests is slow
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
# On-demand nodes that Karpenter may replace by cheaper ones, and at first only an expensive machine to choose.
EXPENSIVE_POOL = replace(ON_DEMAND_POOL, machines=(LARGE,), consolidation="WhenEmptyOrUnderutilized")
CHEAPER_POOL = replace(EXPENSIVE_POOL, machines=(SMALL, LARGE))


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """A node that was taken back while a pod on it was speaking."""

    node: SimulatedNode
    pod: PodFacts
    stream: Stream


def wake(environment: SpotEnvironment, name: str, replicas: int, capacity_type: str) -> float:
    """Let requests wait for that many replicas, until all serve on one kind of node; returns the seconds it took."""
    environment.hold(name, replicas * MODEL_REQUESTS - SPARE_REQUESTS)
    return environment.until(
        lambda: environment.serving_on(capacity_type) == replicas == len(environment.serving_pods()),
        f"{replicas} replicas serve on {capacity_type} nodes",
        STEP_SECONDS,
    )


def fall_asleep(environment: SpotEnvironment, name: str) -> float:
    """Let no request come, until the region is at zero and every machine is given back; returns the seconds."""
    environment.hold(name, 0)
    return environment.until(
        lambda: not environment.inference_pods() and not environment.cluster.claims(),
        "no pod runs, and Karpenter has given all machines back",
        STEP_SECONDS,
    )


@contextmanager
def without_spot(environment: SpotEnvironment) -> Iterator[None]:
    """Take the cloud's spot machines off the market for as long as the block runs; nodes that exist stay."""
    environment.cluster.apply_pool(replace(SPOT_POOL, gpu_limit=0))
    try:
        yield
    finally:
        environment.cluster.apply_pool(SPOT_POOL)


def back_to_spot(environment: SpotEnvironment, replicas: int) -> tuple[float, int]:
    """Wait until all replicas serve on spot again and on-demand nodes are gone.

    Returns:
        the seconds it took, and the fewest replicas that served at any time in between.
    """
    fewest = replicas

    def is_back() -> bool:
        nonlocal fewest
        serving = len(environment.serving_pods())
        fewest = min(fewest, serving)
        nodes = environment.cluster.nodes()
        is_on_spot = environment.serving_on(SPOT) == replicas == serving
        return is_on_spot and all(node.capacity_type == SPOT for node in nodes)

    return environment.until(is_back, f"{replicas} replicas serve on spot nodes alone", STEP_SECONDS), fewest


def reclaim_speaking(environment: SpotEnvironment, stream_seconds: float) -> Reclaimed:
    """Let a pod speak for that long, and take its node back with notice."""
    pod = environment.serving_pods()[0]
    stream = Stream(pod.address, stream_seconds).start()
    protect(environment, pod)
    node = environment.node_of(pod)
    assert node is not None  # noqa: S101 - a serving pod has a node
    environment.cluster.reclaim(node)
    return Reclaimed(node, pod, stream)


def replaced(environment: SpotEnvironment, reclaimed: Reclaimed, replicas: int) -> float:
    """Wait until another pod serves instead, and the reclaimed node and its pod are gone; returns the seconds."""

    def is_replaced() -> bool:
        serving = environment.serving_pods()
        names = {pod.name for pod in environment.inference_pods()}
        nodes = {node.name for node in environment.cluster.nodes()}
        return len(serving) == replicas and reclaimed.pod.name not in names and reclaimed.node.name not in nodes

    return environment.until(is_replaced, f"{reclaimed.pod.name} and its node are replaced", STEP_SECONDS)


def protect(environment: SpotEnvironment, pod: PodFacts) -> None:
    """Wait until the operator has marked a speaking pod, so that Karpenter lets it finish."""
    environment.until(
        lambda: annotation(environment, pod, DO_NOT_DISRUPT) == "true", f"{pod.name} has {DO_NOT_DISRUPT}", STEP_SECONDS
    )


def annotation(environment: SpotEnvironment, pod: PodFacts, key: str) -> str:
    """Return an annotation of a pod; empty when it is absent."""
    manifest = environment.api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
    value: str = (manifest["metadata"].get("annotations") or {}).get(key, "")
    return value


def refusal_to_disrupt(environment: SpotEnvironment, node: SimulatedNode) -> str:
    """Wait until Karpenter says that it would give the node up, and why it does not; returns its message."""
    found: list[str] = []

    def is_said() -> bool:
        events = environment.api.get("/api/v1/events?fieldSelector=reason%3DDisruptionBlocked")["items"]
        involved = {node.name, node.claim}
        found.extend(
            event["message"]
            for event in events
            if event["involvedObject"]["name"] in involved and "do-not-disrupt" in event["message"]
        )
        return bool(found)

    environment.until(is_said, f"Karpenter leaves {node.name} because a pod is protected", STEP_SECONDS)
    return found[-1]


@contextmanager
def pool_of(environment: SpotEnvironment, pool: NodePool) -> Iterator[None]:
    """Change the on-demand NodePool for as long as the block runs."""
    environment.cluster.apply_pool(pool)
    try:
        yield
    finally:
        environment.cluster.apply_pool(ON_DEMAND_POOL)
