"""Builds the ResourceState that a decision reads: from the store, the load readings and this process' own history.

Knows what only a running process can know: since when a region has no ready pod, how high demand was lately.
Decides nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from voxfleet_operator import names
from voxfleet_operator.cluster.lookups.cluster_facts import NOTHING_ASKED, ClusterFacts
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.capacity.leaving import next_sign_at, with_interruption, with_node
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.decisions.capacity.schedules import next_schedule_at, scheduled
from voxfleet_operator.decisions.demand.idle_timers import renewal_period
from voxfleet_operator.decisions.demand.load import Readings, load_of_region
from voxfleet_operator.decisions.observed import (
    NODE_BOOT_SECONDS,
    SPOT_QUIET_SECONDS,
    ClaimState,
    FetchProgress,
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
from voxfleet_operator.decisions.region_history import RegionHistory
from voxfleet_operator.decisions.remote.recorded import regions_in
from voxfleet_operator.decisions.resource_plan import ResourceState
from voxfleet_operator.kinds import NODE_EVENT, POD_EVENT, ObjectRef
from voxfleet_operator.manifests.pods.weights import weights_of, what_of, where_of
from voxfleet_operator.resources import Autoscaling, Failure, Key, Region, Resource, effective_autoscaling

NEVER = float("inf")
IMAGE_VOLUMES_NOT_SERVED = (
    "weights from an image (cache.weights.type Image, model.source oci://) need Kubernetes 1.33 or newer with the "
    "feature gate ImageVolume, which this API server does not have: use cache.weights.type PersistentVolumeClaim"
)
RENEWALS_AFTER_BREAK = 2  # one renewal may have been lost with the watch; the one after it cannot


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

    def observe(
        self, resource: Resource, now: float, facts: ClusterFacts = NOTHING_ASKED, kubeconfig: str = ""
    ) -> ResourceState:
        """Return the present state of a resource's regions in this cluster, all at the same time.

        `kubeconfig`: NAME/KEY of the Secret that those regions name, empty for the operator's own cluster.
        """
        regions = regions_in(resource, kubeconfig)
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
        return with_interruption(with_node(pod, self._node(pod), now, self.store.node_outage), interruption)

    def _changes_at(self, pods: tuple[PodState, ...], autoscaling: Autoscaling, now: float) -> float | None:
        signs = (next_sign_at(pod, self._node(pod), now, self.store.node_outage) for pod in pods)
        times = (next_schedule_at(autoscaling, now), *signs)
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
        if history.record(observed, now):
            self.on_reclaim()
        return history.local_state(self._lease_trusted_at(observed.autoscaling), now)

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
