"""Reconciles one resource: observe, decide, act. Level-triggered: a second run changes nothing and sends nothing.

Knows the order of the steps. Does not know how decisions are made (decisions/), what objects contain (manifests/),
how they are written (cluster/object_writer.py), or why the reconcile was requested.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.action_executor import ActionExecutor
from voxfleet_operator.cluster.api import ConflictError, KubernetesApi, KubernetesError, NotFoundError
from voxfleet_operator.cluster.lookups.cluster_facts import NOTHING_ASKED, ClusterFacts, Lookups
from voxfleet_operator.cluster.lookups.storage import BAD_SECONDS
from voxfleet_operator.cluster.object_writer import NameTakenError, ObjectWriter
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.pod_drainer import PodDrainer
from voxfleet_operator.cluster.rollouts import RolloutLimiter, waiting_message
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cost_ledgers import CostLedgers
from voxfleet_operator.decisions.actions import PRECONDITIONS
from voxfleet_operator.decisions.cost.rates import rates_of
from voxfleet_operator.decisions.observed import JobState
from voxfleet_operator.decisions.region_plan import REQUEUE_SECONDS
from voxfleet_operator.decisions.resource_plan import ResourcePlan, ResourceState, decide
from voxfleet_operator.decisions.rollouts import NO_FALLBACK
from voxfleet_operator.kinds import PER_REGION_KINDS, UNOWNED_KINDS, ObjectRef, resource_path
from voxfleet_operator.manifests import Installation, Manifest, desired_objects
from voxfleet_operator.manifests.pre_pull import owned_by
from voxfleet_operator.resources import API_VERSION, KIND, Key, Resource, VoxTTSDeploymentStatus, read_resource
from voxfleet_operator.status.conditions import ConditionInput, Problem, paused_conditions
from voxfleet_operator.status.problems import apply_problem, problems_of
from voxfleet_operator.status.resource_status import as_json, is_verified, next_write_at, resource_status

log = structlog.get_logger(__name__)

LOOKED_UP_REASONS = frozenset({"ClaimNotBound", "ClaimNotShared"})
PAUSED = "paused"  # value of the annotation voxfleet.dev/reconcile


@dataclass(frozen=True, slots=True)
class Turn:
    """One reconcile of one resource: what was observed, what was planned, and at what time.

    `checked`: regions whose preconditions were checked; `refuted`: those of them whose plan is not carried out.
    """

    resource: Resource
    observed: ResourceState
    plan: ResourcePlan
    now: float
    facts: ClusterFacts = NOTHING_ASKED
    checked: set[str] = field(default_factory=set)
    refuted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Reconciler:
    """Makes the cluster match each resource's spec."""

    api: KubernetesApi
    store: Store
    observer: Observer
    installation: Installation
    clock: Callable[[], float] = time.time
    writer: ObjectWriter = field(init=False)
    rollouts: RolloutLimiter = field(init=False)
    executor: ActionExecutor = field(init=False)
    lookups: Lookups = field(init=False)
    on_status: Callable[[VoxTTSDeploymentStatus, VoxTTSDeploymentStatus], None] = lambda _before, _after: None
    status_written_at: dict[Key, float] = field(default_factory=dict)
    failing_since: dict[Key, float] = field(default_factory=dict)
    costs: CostLedgers = field(default_factory=CostLedgers)

    def __post_init__(self) -> None:
        self.writer = ObjectWriter(self.api, self.store)
        self.rollouts = RolloutLimiter(self.api, self.store, self.observer.lost_templates)
        self.lookups = Lookups(self.api, self.store, self.installation.system_namespace, self.clock)
        drainer = PodDrainer(self.installation.pod.internal_key)
        self.executor = ActionExecutor(self.api, self.store, self.installation.demand_namespace, drainer)

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile one resource once; return when to do it again if no event comes before.

        Raises a KubernetesError or NameTakenError, after everything else was tried and the status says so: of several
        the first, or the one with the longest Retry-After.
        """
        try:
            return await self._converge(key)
        except NotFoundError:
            # Either the resource was deleted meanwhile, or something that it needs does not exist.
            if await self.writer.resource_exists(key):
                raise
            self.store.remove_resource(key)
            return None

    async def _converge(self, key: Key) -> float | None:
        resource = self.store.resources.get(key)
        if resource is None or resource.is_deleting:
            await self._delete_orphans(key)
            return None
        if resource.annotations.get(names.ANNOTATION_RECONCILE) == PAUSED:
            await self._report_paused(resource)
            return None
        facts = await self.lookups.facts_for(resource)
        now = self.clock()
        observed = self.observer.observe(resource, now, facts)
        turn = Turn(resource, observed, decide(observed, now), now, facts)
        _log_changes(turn)
        owner = self.store.owner_of_model_name(resource.model_name)
        pulls = owned_by(resource, self.store.resources.values(), self.installation.pod)
        manifests = desired_objects(
            resource, turn.plan, self.installation, owns_model_name=owner == resource.key, pulls=pulls
        )
        errors = await self._apply_all(turn, manifests)
        # Gateways must know that a region left the spec before its servers go: only after a successful apply.
        errors += [] if errors else await self._delete_left(turn, manifests)
        errors += await self._execute_actions(turn)
        if turn.refuted and not errors:
            # The status would report what was not done. The renewal's event decides again, usually at once; the time is
            # for a watch that is behind, which must not cause a request after request.
            return self.clock() + REQUEUE_SECONDS
        problems = problems_of(resource, owner, self.installation.allowed_host_paths, facts.users_claim)
        failed = self._failed(key, errors, now)
        requeue_at = await self._update_status(turn, (*problems, *self._waiting(manifests), *failed))
        if errors:
            raise max(errors, key=_retry_after_seconds)
        return requeue_at

    def _failed(self, key: Key, errors: list[Exception], now: float) -> list[Problem]:
        """Return the problems of this reconcile's errors, and record since when there are any."""
        if not errors:
            self.failing_since.pop(key, None)
            return []
        failing_seconds = now - self.failing_since.setdefault(key, now)
        return [_as_problem(error, failing_seconds) for error in errors]

    def _waiting(self, manifests: list[Manifest]) -> list[Problem]:
        """Return the problems of Deployments whose new template waits."""
        waiting = [manifest for manifest in manifests if manifest.ref in self.rollouts.waiting]
        return [Problem("RolloutWaiting", waiting_message(each.ref, each.region)) for each in waiting]

    async def _apply_all(self, turn: Turn, manifests: list[Manifest]) -> list[Exception]:
        """Apply every object; a failure does not keep the others from being applied."""
        errors: list[Exception] = []
        resource = turn.resource
        if any(manifest.ref not in self.store.objects for manifest in manifests):
            await self.writer.check_resource(resource)
        for manifest in manifests:
            try:
                if manifest.kind == "Deployment" and not await self._preconditions_hold(turn, manifest.region):
                    continue
                if manifest.kind == "Job" and manifest.ref in self.store.objects:
                    continue  # its template cannot be changed, and need not: it is the record of one attempt
                plan = turn.plan.regions.get(manifest.region)
                chosen = NO_FALLBACK if plan is None else plan.fallback
                keeps = plan is not None and plan.keeps_template
                admitted = await self.rollouts.admitted(manifest, resource.generation, chosen, keeps=keeps)
                await self.writer.apply(resource, admitted)
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
                    await self.executor.execute(turn.resource.key, turn.observed.regions[region], action, turn.now)
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
        for ref in self.store.refs_of(resource.key, PER_REGION_KINDS):
            if ref in wanted or resource.uid not in self.store.objects[ref].uids_of_owner:
                continue
            try:
                await self.writer.delete(ref)
                log.info("object deleted", kind=ref.kind, name=ref.name, resource=str(resource.key))
            except KubernetesError as error:
                errors.append(error)
        return errors

    def _earlier_weights(self, key: Key) -> set[ObjectRef]:
        """Return every claim, and every Job that has filled one."""
        jobs = {ref for ref in self.store.refs_of(key, ("Job",)) if self._is_complete(ref)}
        return jobs | set(self.store.refs_of(key, ("PersistentVolumeClaim",)))

    def _is_complete(self, ref: ObjectRef) -> bool:
        job = self.store.state(ref, JobState)
        return job is not None and job.is_complete

    async def _execute_actions(self, turn: Turn) -> list[Exception]:
        """Carry out the actions of every plan; the rest of a region's actions wait for one that fails."""
        errors: list[Exception] = []
        key = turn.resource.key
        for plan in turn.plan.regions.values():
            try:
                for action in plan.actions:
                    if not isinstance(action, PRECONDITIONS):
                        await self.executor.execute(key, turn.observed.regions[plan.name], action, turn.now)
            except ConflictError:
                log.info("lease renewed meanwhile: region stays awake", resource=str(key), region=plan.name)
            except KubernetesError as error:
                errors.append(error)
        return errors

    async def _update_status(self, turn: Turn, problems: tuple[Problem, ...]) -> float | None:
        """Write the status if it is due; return when to reconcile again."""
        now, resource = self.clock(), turn.resource
        given = ConditionInput(turn.plan, problems, is_verified(resource, turn.observed))
        ledger = self.costs.advance(resource, rates_of(resource, turn.observed, turn.plan), turn.now)
        status = resource_status(resource, given, turn.observed, ledger, now)
        deadlines = [turn.plan.requeue_at] if turn.plan.requeue_at is not None else []
        if any(problem.reason in LOOKED_UP_REASONS for problem in problems):
            deadlines.append(now + BAD_SECONDS)  # no watch shows when it is mended
        due_at = next_write_at(resource.status, status, self.status_written_at.get(resource.key, 0.0))
        if due_at is not None and due_at <= now:
            await self._write_status(resource, status)
        elif due_at is not None:
            deadlines.append(due_at)
        return min(deadlines, default=None)

    async def _write_status(self, resource: Resource, status: VoxTTSDeploymentStatus) -> None:
        # The uid makes the API server refuse a status for a new resource of the same name.
        metadata = {"name": resource.key.name, "namespace": resource.key.namespace, "uid": resource.uid}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": as_json(status)}
        response = await self.api.apply(f"{resource_path(resource.key)}/status", body)
        self.status_written_at[resource.key] = self.clock()
        self.on_status(resource.status, status)
        # An event of a newer spec may have replaced it during the request, or be about to: it is the store's to record.
        written = read_resource(response)
        if self.store.resources.get(resource.key) is resource and written.generation == resource.generation:
            self.store.resources[resource.key] = written

    async def _report_paused(self, resource: Resource) -> None:
        conditions = paused_conditions(tuple(resource.status.conditions), resource.generation, self.clock())
        status = resource.status.model_copy(update={"conditions": conditions})
        if as_json(status) != as_json(resource.status):
            await self._write_status(resource, status)

    async def _delete_orphans(self, key: Key) -> None:
        """Delete the unowned objects of a deleted resource; the garbage collector deletes the owned ones."""
        orphans = self.store.refs_of(key, UNOWNED_KINDS)
        self.observer.forget(key)
        self.status_written_at.pop(key, None)
        self.failing_since.pop(key, None)
        self.costs.forget(key)
        self.writer.forget(orphans)
        self.rollouts.forget_deleted()
        if not orphans or await self.writer.resource_exists(key):
            return
        for ref in orphans:
            await self.writer.delete(ref)
            log.info("orphan deleted", kind=ref.kind, name=ref.name, resource=str(key))


def _as_problem(error: Exception, failing_seconds: float) -> Problem:
    if isinstance(error, KubernetesError):
        return apply_problem(error.status, str(error), failing_seconds)
    return Problem("NameTaken", str(error), is_lasting=True)


def _retry_after_seconds(error: Exception) -> float:
    return error.retry_after_seconds if isinstance(error, KubernetesError) else 0.0


def _log_changes(turn: Turn) -> None:
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
