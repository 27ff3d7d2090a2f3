"""The servers of a region by pool, and how far those are that start. Pure.

Knows: that the operator names a pool's Deployment <Service>-ondemand or <Service>-spot, and Kubernetes names its pods
by that; a name is cut behind 58 characters, which leaves the pool's first letters.
Does not know: pods' labels, which EndpointSlices do not have.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from voxfleet_gateway.decisions.fleet.wake_progress import PodStage
from voxfleet_gateway.decisions.pods.balancing import servable
from voxfleet_gateway.decisions.pods.pod_state import PodState

Pool = Literal["on_demand", "spot", "unknown"]
POOL_BY_BEGINNING: dict[str, Pool] = {"ond": "on_demand", "spo": "spot"}


@dataclass(frozen=True, slots=True)
class PoolCount:
    """Servers of one pool."""

    pool: Pool
    ready: int = 0
    starting: int = 0
    draining: int = 0


def pool_counts(service: str, pods: Collection[PodState], now_seconds: float) -> tuple[PoolCount, ...]:
    """Return the pools that have pods; `service`: the name of the regional Service."""
    ready = {id(pod) for pod in servable(pods, now_seconds)}
    counts: dict[Pool, list[int]] = {}
    for pod in pods:
        count = counts.setdefault(_pool(service, pod), [0, 0, 0])
        count[0 if id(pod) in ready else 2 if is_leaving(pod, now_seconds) else 1] += 1
    return tuple(PoolCount(pool, *count) for pool, count in sorted(counts.items()))


def _pool(service: str, pod: PodState) -> Pool:
    prefix = f"{service}-"
    if not pod.endpoint.name.startswith(prefix):
        return "unknown"
    return POOL_BY_BEGINNING.get(pod.endpoint.name[len(prefix) :][:3], "unknown")


def is_leaving(pod: PodState, now_seconds: float) -> bool:
    """Whether the pod ends, or drains before it ends."""
    return pod.endpoint.is_terminating or pod.state(now_seconds) == "draining"


def stages(pods: Iterable[PodState], now_seconds: float) -> Iterator[PodStage]:
    """Yield how far each pod's start is; one that leaves or has failed starts nothing."""
    for pod in pods:
        state = pod.state(now_seconds)
        if is_leaving(pod, now_seconds) or state == "failed":
            continue
        yield "address" if state is None or state == "draining" else state


def requests_at(pods: Iterable[PodState]) -> int:
    """Return the requests open at the pods, of all gateways; of a pod without a report, this gateway's."""
    return sum(max(pod.received.report.open_requests if pod.received else 0, pod.open_requests) for pod in pods)
