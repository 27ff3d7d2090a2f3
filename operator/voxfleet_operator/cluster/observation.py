"""Puts together what is known of one region: from the store, the load readings, and this process' own memory.

Knows what only a running process can know: since when a region is not ready, how high demand was lately. Does not
decide anything.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from voxfleet_operator import names
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.features import blocked_reason
from voxfleet_operator.decisions.idle_timers import renewal_period
from voxfleet_operator.decisions.load import Readings, load_of_region
from voxfleet_operator.decisions.observed import LocalState, Policy, RegionState
from voxfleet_operator.decisions.scaling import replicas_for_demand
from voxfleet_operator.decisions.wake_timing import is_of_this_wake
from voxfleet_operator.resources import Key, Region, Resource, effective_autoscaling

NEVER = float("inf")


@dataclass(slots=True)
class RegionMemory:
    """What this process remembers of one region."""

    unready_since: float | None = None
    load_expected_at: float | None = None
    asked: deque[tuple[float, int]] = field(default_factory=deque)


@dataclass(slots=True)
class Observer:
    """Observes regions."""

    store: Store
    demand_namespace: str
    readings: Readings = field(default_factory=Readings)
    memories: dict[tuple[Key, str], RegionMemory] = field(default_factory=dict)

    def observe(self, resource: Resource, region: Region, now: float) -> RegionState:
        """One region as it stands."""
        key = resource.key
        status = resource.region_statuses.get(region.name)
        pods = self.store.region_pods(key, region.name)
        ready = tuple(pod for pod in pods if pod.is_ready)
        seen = RegionState(
            name=region.name,
            generation=resource.generation,
            policy=policy_of(resource, region),
            is_suspended=resource.spec.suspend or region.suspend,
            blocked_reason=blocked_reason(resource.spec, region),
            workload=self.store.workloads.get((key.namespace, names.on_demand_name(key.name, region.name))),
            pods=pods,
            lease=self.store.leases.get(names.lease_name(key.namespace, key.name, region.name)),
            load=load_of_region(key.namespace, key.name, region.name, self.readings, ready, now),
            previous_phase=status.phase if status else None,
            last_wake=status.last_wake if status else None,
            failure=status.failure if status else None,
        )
        return replace(seen, local=self._remember(key, seen, now))

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        for place in [place for place in self.memories if place[0] == key]:
            del self.memories[place]

    def _remember(self, key: Key, seen: RegionState, now: float) -> LocalState:
        memory = self.memories.setdefault((key, seen.name), RegionMemory())
        _remember_readiness(memory, seen, now)
        _remember_demand(memory, seen, now)
        return LocalState(
            unready_since=memory.unready_since or now,
            lease_trusted_at=self._lease_trusted_at(seen.policy),
            load_expected_at=memory.load_expected_at or now,
            peak_replicas=max((asked for _, asked in memory.asked), default=0),
        )

    def _lease_trusted_at(self, policy: Policy) -> float:
        if self.store.is_lease_watch_broken:
            return NEVER
        broken_at = self.store.lease_watch_broken_at
        return 0.0 if broken_at is None else broken_at + 2 * renewal_period(policy.idle_timeout_seconds)


def _remember_readiness(memory: RegionMemory, seen: RegionState, now: float) -> None:
    if seen.replicas == 0:
        memory.unready_since = memory.load_expected_at = None
    elif seen.ready_pods:
        memory.unready_since = None
        memory.load_expected_at = memory.load_expected_at or now
    elif memory.unready_since is None:
        woken_at = seen.workload.woken_at if seen.workload else None
        is_first = woken_at is not None and not is_of_this_wake(seen.last_wake, woken_at)
        memory.unready_since = woken_at if is_first else now


def _remember_demand(memory: RegionMemory, seen: RegionState, now: float) -> None:
    """After a start, what runs counts as asked for: shrinking needs a whole window of knowledge."""
    asked = replicas_for_demand(seen.load, seen.policy) if memory.asked else max(seen.replicas, 1)
    if seen.replicas == 0:
        memory.asked.clear()
        return
    memory.asked.append((now, asked))
    while memory.asked and memory.asked[0][0] < now - seen.policy.scale_down_stabilization_seconds:
        memory.asked.popleft()


def policy_of(resource: Resource, region: Region) -> Policy:
    """A region's effective autoscaling."""
    effective = effective_autoscaling(resource.spec, region)
    return Policy(
        min_replicas=effective.min_replicas,
        max_replicas=effective.max_replicas,
        target_requests_per_replica=effective.target_requests_per_replica,
        idle_timeout_seconds=effective.idle_timeout_seconds,
        wake_timeout_seconds=effective.wake_timeout_seconds,
        max_unknown_seconds=effective.max_unknown_seconds,
        scale_down_stabilization_seconds=effective.scale_down_stabilization_seconds,
    )
