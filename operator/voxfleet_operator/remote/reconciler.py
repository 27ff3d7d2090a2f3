"""Reconciles the part of a resource that is in one remote cluster; runs in that cluster's own workers.

Knows the order: regions of the spec first, then the deletion of what is left of others. Nothing is made before the
region is recorded on the resource. Does not know the status, nor other clusters (outcomes.py is all that it reports).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.remote.cleanup import Cleanup
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster_reconciler import PAUSED, ClusterReconciler, Failures, Turn, first_to_retry, log_changes
from voxfleet_operator.decisions.remote.absence import was_applied
from voxfleet_operator.decisions.remote.recorded import (
    RemoteRegion,
    abandoned_regions,
    recorded_regions,
    wanted_regions,
)
from voxfleet_operator.decisions.resource_plan import ResourcePlan, decide
from voxfleet_operator.decisions.stages import REQUEUE_SECONDS
from voxfleet_operator.manifests import Installation, desired_objects
from voxfleet_operator.manifests.desired_objects import registry_of
from voxfleet_operator.manifests.pre_pull import owned_by
from voxfleet_operator.remote.outcomes import Outcome, Outcomes, Part
from voxfleet_operator.resources import Key, Resource
from voxfleet_operator.status.problems import claim_problems

SUCCESSOR_SECONDS = 5.0  # until the other cluster of a region that moved is looked at again

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RemoteReconciler:
    """Makes one remote cluster match the regions of each resource that it has."""

    clusters: ClusterReconciler
    index: ResourceIndex
    outcomes: Outcomes
    installation: Installation  # of the operator's own cluster
    enqueue_home: Callable[[Key], None]
    clock: Callable[[], float]
    failures: Failures[Part] = field(default_factory=Failures)

    async def reconcile(self, part: Part) -> float | None:
        """Reconcile a part once; return when to do it again. Raises KubernetesError or NameTakenError."""
        resource = self.index.resources.get(part.key)
        is_paused = resource is not None and resource.annotations.get(names.ANNOTATION_RECONCILE) == PAUSED
        if resource is None:
            self.failures.since.pop(part, None)
            self.clusters.cluster.observer.forget(part.key)
            return None
        if is_paused and not resource.is_deleting:
            return None
        here = frozenset(each for each in recorded_regions(resource) if each.secret == part.secret)
        live = here & wanted_regions(resource)
        requeue_at: float | None = None
        errors: list[Exception] = []
        if live and part.key in self.outcomes.merged:
            requeue_at, errors = await self._converge(part, resource, live)
        left = here - live - abandoned_regions(resource)
        if left and not errors:
            requeue_at = _earliest(requeue_at, await self._clean(part, resource, left, is_whole=not live))
        if errors:
            raise first_to_retry(errors)
        return requeue_at

    async def _converge(
        self, part: Part, resource: Resource, live: frozenset[RemoteRegion]
    ) -> tuple[float | None, list[Exception]]:
        cluster, kubeconfig = self.clusters.cluster, part.secret.text
        facts = await cluster.lookups.facts_for(resource)
        now = self.clock()
        observed = cluster.observer.observe(resource, now, facts, kubeconfig)
        recorded = {each.region for each in live}
        observed = replace(observed, regions={n: each for n, each in observed.regions.items() if n in recorded})
        turn = Turn(resource, observed, decide(observed, now), now, facts, kubeconfig)
        log_changes(turn)
        whole = ResourcePlan({**self.outcomes.merged[part.key].regions, **turn.plan.regions})
        if any(region.name not in whole.regions for region in resource.spec.regions):
            return None, []  # the resource's own reconcile has not seen this spec yet, and comes back here after it
        installation = replace(self.installation, kubeconfig=kubeconfig)
        owned_names = self.index.owned_names(resource)
        pulls = owned_by(resource, (), installation.pod, kubeconfig)
        ways_in = cluster.ways_in.decide(resource, {}, installation)
        manifests = desired_objects(
            resource, whole, installation, owned_names=owned_names, pulls=pulls, ways_in=ways_in
        )
        errors = await self.clusters.converge(turn, manifests)
        if turn.refuted and not errors:
            return self.clock() + REQUEUE_SECONDS, []
        entry = registry_of(resource, whole, installation, owned_names=owned_names)
        problems = (
            *self.failures.problems(part, errors, now),
            *claim_problems(resource, facts.users_claim, kubeconfig),
            *cluster.ways_in.problems(resource, ways_in),
            *self.clusters.waiting(manifests),
        )
        is_applied = not errors or (all(map(_is_unreached, errors)) and self._was_applied(part, resource, live))
        done = Outcome(resource.generation, turn.plan.regions, observed.regions, problems, is_applied, entry)
        self._publish(part, done)
        return turn.plan.requeue_at, errors

    def _was_applied(self, part: Part, resource: Resource, live: frozenset[RemoteRegion]) -> bool:
        """Whether this generation was applied here before; a cluster that is lost meanwhile keeps what it has."""
        before = self.outcomes.latest.get(part)
        if before is None:
            return all(was_applied(resource, each.region) for each in live)
        return before.is_applied and before.generation == resource.generation

    def _publish(self, part: Part, outcome: Outcome) -> None:
        before = self.outcomes.latest.get(part)
        self.outcomes.latest[part] = outcome
        if outcome.differs(before):
            self.enqueue_home(part.key)

    async def _clean(
        self, part: Part, resource: Resource, left: frozenset[RemoteRegion], *, is_whole: bool
    ) -> float | None:
        """Delete what is left of regions; `is_whole`: none of the resource stays in this cluster by this Secret."""
        cluster = self.clusters.cluster
        cleanup = Cleanup(cluster.api, self.installation.system_namespace, self.installation.demand_namespace)
        # A region that moved to another Secret may be in the same cluster: its objects are taken over, not deleted.
        if not self._successors_are_applied(resource, left):
            return self.clock() + SUCCESSOR_SECONDS
        for each in sorted(left):
            try:
                region = None if is_whole else each.region
                await cleanup.delete(resource.key, resource.uid, part.secret.text, region)
            except KubernetesError as error:
                if self.outcomes.not_cleaned.get((part.key, each)) != str(error):
                    self.outcomes.not_cleaned[part.key, each] = str(error)
                    self.enqueue_home(part.key)
                raise
            self.outcomes.cleaned.add((resource.uid, each))
        if is_whole:
            self.outcomes.latest.pop(part, None)
            cluster.observer.forget(part.key)
        self.enqueue_home(part.key)
        return None

    def _successors_are_applied(self, resource: Resource, left: frozenset[RemoteRegion]) -> bool:
        names_left = {each.region for each in left}
        successors = {each.secret for each in wanted_regions(resource) if each.region in names_left}
        found = (self.outcomes.latest.get(Part(resource.key, secret)) for secret in successors)
        return all(each is not None and each.is_applied and each.generation == resource.generation for each in found)


def _is_unreached(error: Exception) -> bool:
    return isinstance(error, KubernetesError) and error.status == 0


def _earliest(*times: float | None) -> float | None:
    return min((at for at in times if at is not None), default=None)
