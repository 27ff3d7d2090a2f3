"""Builds the ResourceState that a decision reads: from the store, the load readings and this process' own history.

Knows what only a running process can know: since when a region has no ready pod, how high demand was lately.
Decides nothing.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from voxfleet_operator import names
from voxfleet_operator.cluster.lookups.cluster_facts import NOTHING_ASKED, ClusterFacts
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.capacity.leaving import next_sign_at, with_interruption, with_node
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.decisions.capacity.scaling import replicas_to_record
from voxfleet_operator.decisions.capacity.schedules import next_schedule_at, scheduled
from voxfleet_operator.decisions.features import blocked_reason
from voxfleet_operator.decisions.idle_timers import renewal_period
from voxfleet_operator.decisions.load import Readings, load_of_region
from voxfleet_operator.decisions.observed import (
    NODE_BOOT_SECONDS,
    SPOT_QUIET_SECONDS,
    ClaimState,
    FetchProgress,
    ForeignScale,
    InterruptionState,
    JobState,
    LeaseState,
    LocalState,
    NodeState,
    PodState,
    RegionState,
    WeightsState,
    WorkloadState,
)
from voxfleet_operator.decisions.resource_plan import ResourceState
from voxfleet_operator.decisions.wake_timing import is_of_this_wake
from voxfleet_operator.kinds import NODE_EVENT, POD_EVENT, ObjectRef
from voxfleet_operator.manifests.weights import weights_of, what_of, where_of
from voxfleet_operator.resources import Autoscaling, Failure, Key, Region, Resource, effective_autoscaling

NEVER = float("inf")
IMAGE_VOLUMES_NOT_SERVED = (
    "weights from an image (cache.weights.type Image, model.source oci://) need Kubernetes 1.33 or newer with the "
    "feature gate ImageVolume, which this API server does not have: use cache.weights.type PersistentVolumeClaim"
)
# Longer than the period of any autoscaler that scales again and again: one report for all of its attempts.
SCALED_REPORT_SECONDS = 600.0
RENEWALS_AFTER_BREAK = 2  # one renewal may have been lost with the watch; the one after it cannot


@dataclass(slots=True)
class RegionHistory:
    """What this process has observed of one region.

    `ready_in_wake`: when the wake began in which a pod was ready; `asked`: (time, replicas that demand asked for).
    """

    unready_since: float | None = None
    ready_in_wake: float | None = None
    load_expected_at: float | None = None
    spot_reclaimed_at: float | None = None
    scaled: dict[str, tuple[ForeignScale, float]] = field(default_factory=dict)
    asked: deque[tuple[float, int]] = field(default_factory=deque)


@dataclass(slots=True)
class Observer:
    """Observes resources."""

    store: Store
    demand_namespace: str
    spot_quiet_seconds: float = SPOT_QUIET_SECONDS
    node_boot_seconds: float = NODE_BOOT_SECONDS
    allowed_host_paths: tuple[str, ...] = ()
    progress: dict[tuple[str, str], FetchProgress] = field(default_factory=dict)  # by namespace and name of the pod
    readings: Readings = field(default_factory=Readings)
    histories: dict[tuple[Key, str], RegionHistory] = field(default_factory=dict)
    on_reclaim: Callable[[], None] = lambda: None  # called once for each new reclaim of a region's spot nodes
    lost_templates: set[str] = field(default_factory=set)  # digests of templates that Kubernetes has no more

    def observe(self, resource: Resource, now: float, facts: ClusterFacts = NOTHING_ASKED) -> ResourceState:
        """Return the present state of a resource: all regions at the same time."""
        regions = resource.spec.regions
        return ResourceState({each.name: self._observe_region(resource, each, facts, now) for each in regions})

    def _observe_region(self, resource: Resource, region: Region, facts: ClusterFacts, now: float) -> RegionState:
        key = resource.key
        status = resource.region_statuses.get(region.name)
        lease = ObjectRef("Lease", self.demand_namespace, names.lease_name(key.namespace, key.name, region.name))
        pods = tuple(self._with_node(pod, now) for pod in self.store.region_pods(key, region.name))
        autoscaling = effective_autoscaling(resource.spec, region)
        ready = tuple(pod for pod in pods if pod.is_ready)
        workloads = self._workloads(key, region.name, facts)
        # In two steps, because the history of a region depends on the rest of its state.
        observed = RegionState(
            name=region.name,
            generation=resource.generation,
            autoscaling=scheduled(autoscaling, now),
            is_suspended=resource.spec.suspend or region.suspend,
            blocked_reason=blocked_reason(resource.spec, region),
            capacity=resource.spec.capacity,
            spot_quiet_seconds=self.spot_quiet_seconds,
            node_boot_seconds=self.node_boot_seconds,
            drain_seconds=resource.spec.disruption.drain_seconds,
            workloads=workloads,
            pods=pods,
            changes_at=self._changes_at(pods, autoscaling, now),
            lease=self.store.state(lease, LeaseState),
            load=load_of_region(key.namespace, key.name, region.name, self.readings, ready, now),
            weights=self._weights(resource, region, facts),
            previous_phase=status.phase if status else None,
            last_wake=status.last_wake if status else None,
            failure=_newest_failure(workloads),
            proven_templates=self._proven_templates(workloads),
        )
        return replace(observed, local=self._local_state(key, observed, now))

    def _proven_templates(self, workloads: tuple[WorkloadState, ...]) -> dict[str, str]:
        proven = {each.pool: each.proven_template for each in workloads if each.proven_template}
        return {pool: template for pool, template in proven.items() if template not in self.lost_templates}

    def _node(self, pod: PodState) -> NodeState | None:
        return self.store.state(ObjectRef("Node", "", pod.node), NodeState)

    def _with_node(self, pod: PodState, now: float) -> PodState:
        if not pod.node:
            return replace(pod, scale_up=self.store.state(ObjectRef(POD_EVENT, pod.namespace, pod.name), ScaleUpState))
        interruption = self.store.state(ObjectRef(NODE_EVENT, "", pod.node), InterruptionState)
        return with_interruption(with_node(pod, self._node(pod), now), interruption)

    def _changes_at(self, pods: tuple[PodState, ...], autoscaling: Autoscaling, now: float) -> float | None:
        times = (next_schedule_at(autoscaling, now), *(next_sign_at(pod, self._node(pod), now) for pod in pods))
        return min((at for at in times if at is not None), default=None)

    def _workloads(self, key: Key, region: str, facts: ClusterFacts) -> tuple[WorkloadState, ...]:
        deployments = (names.workload_name(key.name, region, pool) for pool in names.POOLS)
        found = (self.store.state(ObjectRef("Deployment", key.namespace, name), WorkloadState) for name in deployments)
        return tuple(_with_autoscalers(workload, facts) for workload in found if workload is not None)

    def _weights(self, resource: Resource, region: Region, facts: ClusterFacts) -> WeightsState:
        key, model = resource.key, resource.spec.model
        weights = weights_of(resource, region, self.allowed_host_paths)
        refusal = weights.refusal
        if weights.needs_image_volumes and not facts.has_image_volumes:
            refusal = ("ImageVolumesNotServed", IMAGE_VOLUMES_NOT_SERVED)
        if weights.claim is None:
            return WeightsState(refusal=refusal)
        name, is_own = weights.claim.name, weights.claim.spec is not None
        claim = self.store.state(ObjectRef("PersistentVolumeClaim", key.namespace, name), ClaimState)
        # A claim that was deleted and made again is empty: its uid is part of the key.
        uid = claim.uid if claim else ""
        waits_for_claim = is_own and claim is None
        claims = (self.store.state(ref, ClaimState) for ref in self.store.refs_of(key, ("PersistentVolumeClaim",)))
        jobs = (self.store.state(ref, JobState) for ref in self.store.refs_of(key, ("Job",)))
        pods = (self.store.state(ref, PodState) for ref in self.store.refs_of(key, ("Pod",)))
        return WeightsState(
            key="" if waits_for_claim else names.weights_key(model.source, model.revision, name, uid),
            waits_for_claim=waits_for_claim,
            claim=claim,
            storage_classes=facts.storage_classes,
            claim_uids=frozenset(each.uid for each in claims if each is not None),
            jobs=tuple(job for job in jobs if job is not None),
            pods=tuple(pod for pod in pods if pod is not None and pod.job),
            progress={name: each for (namespace, name), each in self.progress.items() if namespace == key.namespace},
            what=what_of(resource),
            where=where_of(resource),
            secret=f"model.secretRef {model.secret_ref.name}" if model.secret_ref else "",
        )

    def forget(self, key: Key) -> None:
        """Drop the history of a deleted resource."""
        for known in [known for known in self.histories if known[0] == key]:
            del self.histories[known]

    def _local_state(self, key: Key, observed: RegionState, now: float) -> LocalState:
        history = self.histories.setdefault((key, observed.name), RegionHistory())
        _record_readiness(history, observed, now)
        _record_demand(history, observed, now)
        if _record_reclaim(history, observed):
            self.on_reclaim()
        _record_scaling(history, observed, now)
        return LocalState(
            unready_since=history.unready_since or now,
            lease_trusted_at=self._lease_trusted_at(observed.autoscaling),
            load_expected_at=history.load_expected_at or now,
            peak_replicas=max((replicas for _, replicas in history.asked), default=0),
            spot_reclaimed_at=history.spot_reclaimed_at,
            scaled=tuple(history.scaled.values()),
        )

    def _lease_trusted_at(self, autoscaling: Autoscaling) -> float:
        """Return from when on the Lease is known to be up to date after a broken watch."""
        if self.store.is_lease_watch_broken:
            return NEVER
        broken_at = self.store.lease_watch_broken_at
        if broken_at is None:
            return 0.0
        return broken_at + RENEWALS_AFTER_BREAK * renewal_period(autoscaling.idle_timeout_seconds)


def _with_autoscalers(workload: WorkloadState, facts: ClusterFacts) -> WorkloadState:
    scaled = workload.scaled
    found = facts.autoscalers.get(scaled.deployment) if scaled else None
    return replace(workload, scaled=replace(scaled, autoscalers=found)) if scaled and found else workload


def _newest_failure(workloads: tuple[WorkloadState, ...]) -> Failure | None:
    """Return the region's failed wake: an apply of two Deployments may have reached one of them."""
    failures = [each.failure for each in workloads if each.failure is not None]
    return max(failures, key=lambda each: each.failed_at, default=None)


def _record_readiness(history: RegionHistory, observed: RegionState, now: float) -> None:
    if observed.replicas == 0:
        history.unready_since = history.load_expected_at = None
    elif observed.ready_pods:
        history.unready_since, history.ready_in_wake = None, observed.woken_at
        history.load_expected_at = history.load_expected_at or now
    elif history.unready_since is None:
        # A first wake is timed from the demand, also by an operator that started meanwhile. A region that was ready
        # once in this wake and lost its pods gets the whole wakeTimeoutSeconds again.
        woken_at = observed.woken_at
        was_ready = is_of_this_wake(observed.last_wake, woken_at) or history.ready_in_wake == woken_at
        is_first = woken_at is not None and not was_ready
        history.unready_since = woken_at if is_first else now


def _record_reclaim(history: RegionHistory, observed: RegionState) -> bool:
    """Keep the newest reclaim of a spot node after its pods are gone, and return whether it is a new one.

    The Deployment keeps it over a restart, so that it is no new one then.
    """
    seen = [pod.reclaimed_at for pod in observed.pods if pod.pool == names.POOL_SPOT]
    recorded = [*(workload.spot_reclaimed_at for workload in observed.workloads), history.spot_reclaimed_at]
    before = max((each for each in recorded if each is not None), default=None)
    history.spot_reclaimed_at = max((each for each in (*seen, before) if each is not None), default=None)
    return history.spot_reclaimed_at != before


def _record_scaling(history: RegionHistory, observed: RegionState, now: float) -> None:
    """Keep what another writer did to a Deployment: the next apply undoes it, and with it every trace."""
    for workload in observed.workloads:
        if workload.scaled is not None:
            history.scaled[workload.scaled.deployment] = (workload.scaled, now + SCALED_REPORT_SECONDS)
    history.scaled = {name: each for name, each in history.scaled.items() if each[1] > now}


def _record_demand(history: RegionHistory, observed: RegionState, now: float) -> None:
    """Record what demand asks for now; the first record after a start is no less than the present number of replicas.

    So a restarted operator shrinks nothing before it has observed a whole stabilization window.
    """
    is_first = not history.asked
    recorded = replicas_to_record(observed.planned_replicas, observed.load, observed.autoscaling)
    asked = max(observed.planned_replicas, recorded) if is_first else recorded
    if observed.replicas == 0:
        history.asked.clear()
        return
    history.asked.append((now, asked))
    while history.asked and history.asked[0][0] < now - observed.autoscaling.scale_down_stabilization_seconds:
        history.asked.popleft()
