"""Reconciles one resource: observe, decide, act. Level-triggered: a second run changes nothing and sends nothing.

Knows the order of the steps. Does not know how decisions are made (decisions/), what objects contain (manifests/),
how they are written (cluster/writing/object_writer.py), or why the reconcile was requested.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesError, NotFoundError
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.lookups.storage import BAD_SECONDS
from voxfleet_operator.cluster.own_resources import OwnResources
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.writing.event_recorder import EventRecorder
from voxfleet_operator.cluster_reconciler import PAUSED, ClusterReconciler, Failures, Turn, first_to_retry, log_changes
from voxfleet_operator.cost_ledgers import CostLedgers
from voxfleet_operator.decisions.cost.rates import rates_of
from voxfleet_operator.decisions.resource_plan import ResourcePlan, ResourceState, decide
from voxfleet_operator.decisions.stages import REQUEUE_SECONDS
from voxfleet_operator.decisions.ways_in import WaysIn
from voxfleet_operator.kinds import PRUNED_KINDS, UNOWNED_KINDS
from voxfleet_operator.manifests import Installation, desired_objects
from voxfleet_operator.manifests.pre_pull import owned_by
from voxfleet_operator.remote.regions import RemoteRegions
from voxfleet_operator.resources import Key, Resource, VoxTTSDeploymentStatus
from voxfleet_operator.status.conditions import (
    LONGEST_MESSAGE,
    ConditionInput,
    Problem,
    deleting_conditions,
    paused_conditions,
)
from voxfleet_operator.status.problems import problems_of
from voxfleet_operator.status.resource_status import as_json, is_verified, next_write_at, resource_status
from voxfleet_operator.status_events import StatusEvents

log = structlog.get_logger(__name__)

LOOKED_UP_REASONS = frozenset({"ClaimNotBound", "ClaimNotShared"})


@dataclass(slots=True)
class Reconciler:
    """Makes the cluster match each resource's spec."""

    cluster: Cluster
    index: ResourceIndex
    installation: Installation
    clock: Callable[[], float] = time.time
    resources: OwnResources = field(init=False)
    home: ClusterReconciler = field(init=False)
    remote: RemoteRegions = field(init=False)
    events: StatusEvents = field(init=False)
    on_status: Callable[[VoxTTSDeploymentStatus, VoxTTSDeploymentStatus], None] = lambda _before, _after: None
    status_written_at: dict[Key, float] = field(default_factory=dict)
    failures: Failures[Key] = field(default_factory=Failures)
    costs: CostLedgers = field(default_factory=CostLedgers)

    def __post_init__(self) -> None:
        self.resources = OwnResources(self.cluster.api)
        self.home = ClusterReconciler(self.cluster, self.resources)
        self.remote = RemoteRegions(self.resources, self.index, self.installation)
        self.events = StatusEvents(EventRecorder(self.cluster.api), self.clock())

    async def reconcile(self, key: Key) -> float | None:
        """Reconcile one resource once; return when to do it again if no event comes before.

        Raises a KubernetesError or NameTakenError, after everything else was tried and the status says so: of several
        the first, or the one with the longest Retry-After.
        """
        try:
            return await self._converge(key)
        except NotFoundError:
            # Either the resource was deleted meanwhile, or something that it needs does not exist.
            if await self.resources.exists(key):
                raise
            self.index.remove(key)
            return None

    async def _converge(self, key: Key) -> float | None:
        resource = self.index.resources.get(key)
        if resource is None or resource.is_deleting:
            return await self._delete(key, resource)
        if resource.annotations.get(names.ANNOTATION_RECONCILE) == PAUSED:
            await self._report_paused(resource)
            return None
        resource, unrecorded = await self._recorded(resource)
        facts = await self.cluster.lookups.facts_for(resource)
        now = self.clock()
        observed = self.cluster.observer.observe(resource, now, facts)
        turn = Turn(resource, observed, decide(observed, now), now, facts)
        log_changes(turn)
        remote = self.remote.seen(resource)
        whole = ResourcePlan(
            {each.name: turn.plan.regions.get(each.name) or remote.plans[each.name] for each in resource.spec.regions}
        )
        owned_names = self.index.owned_names(resource)
        pulls = owned_by(resource, self.index.resources.values(), self.installation.pod)
        ways_in = self.cluster.ways_in.decide(resource, self.index.owners_of_hosts(resource), self.installation)
        manifests = desired_objects(
            resource, whole, self.installation, owned_names=owned_names, pulls=pulls, ways_in=ways_in
        )
        errors = [*unrecorded, *await self.home.converge(turn, manifests), *await self._notebook(resource, ways_in)]
        self.remote.publish(resource, whole, owned_names=owned_names)
        if turn.refuted and not errors:
            # The status would report what was not done. The renewal's event decides again, usually at once; the time is
            # for a watch that is behind, which must not cause a request after request.
            return self.clock() + REQUEUE_SECONDS
        problems = (
            *problems_of(
                resource,
                self.index.owners_of_names(resource),
                self.installation.allowed_host_paths,
                facts.users_claim,
                self.installation.allowed_peers,
            ),
            *self.cluster.ways_in.problems(resource, ways_in),
            *self.home.waiting(manifests),
            *self.failures.problems(key, errors, now),
            *remote.problems,
        )
        states = ResourceState({**observed.regions, **remote.states})
        applied = self.cluster.writer.marks(manifest.ref for manifest in manifests)
        requeue_at = await self._update_status(replace(turn, plan=whole, observed=states), problems, applied)
        if errors:
            raise first_to_retry(errors)
        return requeue_at

    async def _notebook(self, resource: Resource, ways_in: WaysIn) -> list[Exception]:
        try:
            await self.cluster.ways_in.ensure_token(resource, ways_in)
        except KubernetesError as error:
            return [error]
        return []

    async def _recorded(self, resource: Resource) -> tuple[Resource, list[Exception]]:
        """Record remote regions; an error keeps them from being served, and no other region."""
        try:
            return await self.remote.recorded(resource), []
        except NotFoundError:
            raise
        except KubernetesError as error:
            return resource, [error]

    async def _delete(self, key: Key, resource: Resource | None) -> float | None:
        """Delete what no garbage collector does: in this cluster at once, in remote ones before the finalizer goes."""
        if resource is None:
            self.remote.forget(key)
            await self._delete_orphans(key)
            return None
        left = await self.remote.left_of_deleted(resource)
        await self._delete_orphans(key, PRUNED_KINDS if left else ())
        if left:
            await self._report_deleting(resource, left)
        return None

    async def _update_status(self, turn: Turn, problems: tuple[Problem, ...], applied: str) -> float | None:
        """Write the status if it is due; return when to reconcile again."""
        now, resource = self.clock(), turn.resource
        given = ConditionInput(turn.plan, problems, is_verified(resource, turn.observed))
        ledger = self.costs.advance(resource, rates_of(resource, turn.observed, turn.plan), turn.now)
        status = resource_status(resource, given, turn.observed, ledger, now)
        status = status.model_copy(update={"applied": applied or None})
        deadlines = [turn.plan.requeue_at] if turn.plan.requeue_at is not None else []
        if any(problem.reason in LOOKED_UP_REASONS for problem in problems):
            deadlines.append(now + BAD_SECONDS)  # no watch shows when it is mended
        due_at = next_write_at(resource.status, status, self.status_written_at.get(resource.key, 0.0))
        if due_at is not None and due_at <= now:
            await self._write_status(resource, status, turn)
        elif due_at is not None:
            deadlines.append(due_at)
        return min(deadlines, default=None)

    async def _write_status(self, resource: Resource, status: VoxTTSDeploymentStatus, turn: Turn | None = None) -> None:
        written = await self.resources.write_status(resource, as_json(status))
        self.status_written_at[resource.key] = self.clock()
        self.events.written(resource, status, turn, self.clock())
        self.on_status(resource.status, status)
        # An event of a newer spec may have replaced it during the request, or be about to: it is the store's to record.
        if self.index.resources.get(resource.key) is resource and written.generation == resource.generation:
            self.index.resources[resource.key] = written

    async def _report_paused(self, resource: Resource) -> None:
        conditions = paused_conditions(tuple(resource.status.conditions), resource.generation, self.clock())
        status = resource.status.model_copy(update={"conditions": conditions})
        if as_json(status) != as_json(resource.status):
            await self._write_status(resource, status)

    async def _report_deleting(self, resource: Resource, left: str) -> None:
        conditions = deleting_conditions(tuple(resource.status.conditions), left, resource.generation, self.clock())
        status = resource.status.model_copy(update={"conditions": conditions, "message": left[:LONGEST_MESSAGE]})
        if as_json(status) != as_json(resource.status):
            await self._write_status(resource, status)

    async def _delete_orphans(self, key: Key, owned_kinds: Collection[str] = ()) -> None:
        """Delete the unowned objects of a deleted resource; the garbage collector deletes the owned ones.

        `owned_kinds` are deleted too: the garbage collector waits for the finalizer, and servers must not.
        """
        orphans = self.cluster.store.refs_of(key, {*UNOWNED_KINDS, *owned_kinds})
        self.cluster.observer.forget(key)
        self.status_written_at.pop(key, None)
        self.failures.since.pop(key, None)
        self.costs.forget(key)
        self.events.forget(key)
        self.cluster.writer.forget(orphans)
        self.cluster.rollouts.forget_deleted()
        if not orphans or await self.resources.exists(key):
            return
        for ref in orphans:
            await self.cluster.writer.delete(ref)
            log.info("orphan deleted", kind=ref.kind, name=ref.name, resource=str(key))
