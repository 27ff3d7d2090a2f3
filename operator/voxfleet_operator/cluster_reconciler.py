"""Makes one cluster match the plan of a resource's regions there: applies objects, deletes what is left, acts.

Knows the order of the steps, and that a failure of one does not keep the others from being tried. Does not know how
decisions are made (decisions/), what objects contain (manifests/), how they are written (cluster/writing/), nor
the resource's status (reconcile.py).
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.api import ConflictError, KubernetesError
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.lookups.cluster_facts import NOTHING_ASKED, ClusterFacts
from voxfleet_operator.cluster.own_resources import OwnResources
from voxfleet_operator.cluster.writing.object_writer import NameTakenError
from voxfleet_operator.cluster.writing.rollouts import waiting_message
from voxfleet_operator.decisions.actions import PRECONDITIONS
from voxfleet_operator.decisions.observed import JobState
from voxfleet_operator.decisions.resource_plan import ResourcePlan, ResourceState
from voxfleet_operator.decisions.rollouts import NO_FALLBACK
from voxfleet_operator.kinds import PRUNED_KINDS, ObjectRef
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Key, Resource
from voxfleet_operator.status.conditions import Problem
from voxfleet_operator.status.problems import apply_problem

KeyT = TypeVar("KeyT")

PAUSED = "paused"  # value of the annotation voxfleet.dev/reconcile

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """One reconcile of one resource's regions in a cluster: what was observed, what was planned, and at what time.

    `kubeconfig`: the Secret by which the cluster is reached, NAME/KEY; empty: the operator's own cluster.
    `checked`: regions whose preconditions were checked; `refuted`: those of them whose plan is not carried out.
    """

    resource: Resource
    observed: ResourceState
    plan: ResourcePlan
    now: float
    facts: ClusterFacts = NOTHING_ASKED
    kubeconfig: str = ""
    checked: set[str] = field(default_factory=set)
    refuted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Failures(Generic[KeyT]):
    """Since when the reconciles of each key have failed, which separates a passing error from a lasting one."""

    since: dict[KeyT, float] = field(default_factory=dict)

    def problems(self, key: KeyT, errors: list[Exception], now: float) -> list[Problem]:
        """Return the problems of a reconcile's errors, and record when there were none."""
        if not errors:
            self.since.pop(key, None)
            return []
        failing_seconds = now - self.since.setdefault(key, now)
        return [_as_problem(error, failing_seconds) for error in errors]


def first_to_retry(errors: list[Exception]) -> Exception:
    """Return the error by which a reconcile is tried again: the first, or the one with the longest Retry-After."""
    return max(errors, key=lambda each: each.retry_after_seconds if isinstance(each, KubernetesError) else 0.0)


def _as_problem(error: Exception, failing_seconds: float) -> Problem:
    if isinstance(error, KubernetesError):
        return apply_problem(error.status, str(error), failing_seconds)
    return Problem("NameTaken", str(error), is_lasting=True)


@dataclass(frozen=True, slots=True)
class ClusterReconciler:
    """Acts in one cluster."""

    cluster: Cluster
    resources: OwnResources

    async def converge(self, turn: Turn, manifests: list[Manifest]) -> list[Exception]:
        """Carry out a turn; return the errors of everything that failed."""
        errors = await self._apply_all(turn, manifests)
        # Gateways must know that a region left the spec before its servers go: only after a successful apply.
        errors += [] if errors else await self._delete_left(turn, manifests)
        return errors + await self._execute_actions(turn)

    def waiting(self, manifests: list[Manifest]) -> list[Problem]:
        """Return the problems of Deployments whose new template waits."""
        waiting = [manifest for manifest in manifests if manifest.ref in self.cluster.rollouts.waiting]
        return [Problem("RolloutWaiting", waiting_message(each.ref, each.region)) for each in waiting]

    async def _apply_all(self, turn: Turn, manifests: list[Manifest]) -> list[Exception]:
        """Apply every object; a failure does not keep the others from being applied."""
        errors: list[Exception] = []
        resource = turn.resource
        if any(manifest.ref not in self.cluster.store.objects for manifest in manifests):
            await self.resources.check(resource)
        for manifest in manifests:
            try:
                if manifest.kind == "Deployment" and not await self._preconditions_hold(turn, manifest.region):
                    continue
                if manifest.kind == "Job" and manifest.ref in self.cluster.store.objects:
                    continue  # its template cannot be changed, and need not: it is the record of one attempt
                plan = turn.plan.regions.get(manifest.region)
                chosen = NO_FALLBACK if plan is None else plan.fallback
                keeps = plan is not None and plan.keeps_template
                admitted = await self.cluster.rollouts.admitted(manifest, resource.generation, chosen, keeps=keeps)
                await self.cluster.writer.apply(resource, admitted)
            except (KubernetesError, NameTakenError) as error:
                errors.append(error)
        return errors

    async def _preconditions_hold(self, turn: Turn, region: str) -> bool:
        """Check, once in a turn, what a region's plan requires before its Deployments are applied."""
        if region in turn.checked:
            return region not in turn.refuted
        try:
            for action in turn.plan.regions[region].actions:
                if isinstance(action, PRECONDITIONS):
                    await self.cluster.executor.execute(
                        turn.resource.key, turn.observed.regions[region], action, turn.now
                    )
        except ConflictError:
            log.info("lease renewed meanwhile: region stays awake", resource=str(turn.resource.key), region=region)
            turn.refuted.add(region)
        turn.checked.add(region)
        return region not in turn.refuted

    async def _delete_left(self, turn: Turn, manifests: list[Manifest]) -> list[Exception]:
        """Delete the objects of regions that left the spec, whose servers drain as in any deletion, and old weights."""
        resource = turn.resource
        wanted = {manifest.ref for manifest in manifests}
        if any(plan.awaits_weights for plan in turn.plan.regions.values()):
            wanted |= self._earlier_weights(resource.key)
        errors: list[Exception] = []
        for ref in self.cluster.store.refs_of(resource.key, PRUNED_KINDS):
            found = self.cluster.store.objects[ref]
            if ref in wanted or resource.uid not in found.uids_of_owner or found.kubeconfig != turn.kubeconfig:
                continue
            try:
                await self.cluster.writer.delete(ref)
                log.info("object deleted", kind=ref.kind, name=ref.name, resource=str(resource.key))
            except KubernetesError as error:
                errors.append(error)
        return errors

    def _earlier_weights(self, key: Key) -> set[ObjectRef]:
        """Return every claim, and every Job that has filled one."""
        jobs = {ref for ref in self.cluster.store.refs_of(key, ("Job",)) if self._is_complete(ref)}
        return jobs | set(self.cluster.store.refs_of(key, ("PersistentVolumeClaim",)))

    def _is_complete(self, ref: ObjectRef) -> bool:
        job = self.cluster.store.state(ref, JobState)
        return job is not None and job.is_complete

    async def _execute_actions(self, turn: Turn) -> list[Exception]:
        """Carry out the actions of every plan; the rest of a region's actions wait for one that fails."""
        errors: list[Exception] = []
        key = turn.resource.key
        for plan in turn.plan.regions.values():
            try:
                for action in plan.actions:
                    if not isinstance(action, PRECONDITIONS):
                        await self.cluster.executor.execute(key, turn.observed.regions[plan.name], action, turn.now)
            except ConflictError:
                log.info("lease renewed meanwhile: region stays awake", resource=str(key), region=plan.name)
            except KubernetesError as error:
                errors.append(error)
        return errors


def log_changes(turn: Turn) -> None:
    """Log each region whose phase or replicas change."""
    for plan in turn.plan.regions.values():
        state = turn.observed.regions[plan.name]
        applied = {workload.pool: workload.replicas for workload in state.workloads}
        is_divided_anew = any(plan.pools.of(pool) != applied.get(pool, 0) for pool in names.POOLS)
        if plan.phase != state.previous_phase or plan.replicas != state.planned_replicas or is_divided_anew:
            log.info(
                "region changed",
                resource=str(turn.resource.key),
                region=plan.name,
                phase=str(plan.phase),
                replicas=plan.replicas,
                on_demand=plan.pools.on_demand,
                spot=plan.pools.spot,
                reason=plan.woken_reason if plan.phase == "Waking" else plan.reason,
                message=plan.message,
            )
