"""What a resource's reconcile knows of its regions in other clusters: records them, reads outcomes, passes plans on.

Knows the finalizer, and that a cluster which is away concerns its own regions alone: nothing here waits for one. Does
not know how a remote cluster is reached (cluster/remote/) nor what is done there (reconciler.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from voxfleet_operator import names
from voxfleet_operator.cluster.own_resources import OwnResources
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.remote.absence import CONNECTING, Absence, plan_of_absent, was_applied
from voxfleet_operator.decisions.remote.recorded import (
    RemoteRegion,
    SecretKey,
    abandon_line,
    abandoned_regions,
    record,
    recorded_regions,
    wanted_regions,
)
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.desired_objects import registry_of
from voxfleet_operator.remote.outcomes import Outcomes, Part
from voxfleet_operator.resources import Key, Resource
from voxfleet_operator.status.conditions import Problem


class Clusters(Protocol):
    """The remote clusters in use; cluster/remote/clusters.py has them."""

    def use(self, key: Key, secrets: frozenset[SecretKey]) -> None:
        """Say which Secrets a resource needs from now on."""

    def absence(self, secret: SecretKey) -> Absence | None:
        """Return why the cluster of a Secret is not usable now, or None."""

    def warning(self, secret: SecretKey) -> Absence | None:
        """Return what is wrong with a Secret whose cluster is usable all the same."""

    def reconcile(self, key: Key, secret: SecretKey) -> None:
        """Have a cluster's workers reconcile a resource's regions there."""


class NoClusters:
    """No cluster beside the operator's own."""

    def use(self, key: Key, secrets: frozenset[SecretKey]) -> None:
        """Do nothing."""

    def absence(self, _secret: SecretKey) -> Absence | None:
        """Every other cluster is away."""
        return CONNECTING

    def warning(self, _secret: SecretKey) -> Absence | None:
        """There is none."""
        return None

    def reconcile(self, key: Key, secret: SecretKey) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class RemoteView:
    """The regions of a resource in other clusters: their plans, what was observed, and problems to report."""

    plans: Mapping[str, RegionPlan]
    states: Mapping[str, RegionState]
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class RemoteRegions:
    """The remote regions of all resources."""

    resources: OwnResources
    index: ResourceIndex
    installation: Installation
    clusters: Clusters = field(default_factory=NoClusters)
    outcomes: Outcomes = field(default_factory=Outcomes)

    async def recorded(self, resource: Resource) -> Resource:
        """Record the remote regions on the resource, with the finalizer, or take it off; return the new resource.

        Raises KubernetesError.
        """
        before, uid = recorded_regions(resource), resource.uid
        done = abandoned_regions(resource) | {each for each in before if (uid, each) in self.outcomes.cleaned}
        regions = (before - done) | wanted_regions(resource)
        self.clusters.use(resource.key, frozenset(each.secret for each in regions))
        if regions == before and (names.FINALIZER in resource.finalizers) == bool(regions):
            return resource
        written = await self.resources.record_remote(resource, record(regions))
        self.outcomes.forget_cleaned(uid, before - regions)
        if self.index.resources.get(resource.key) is resource:
            self.index.resources[resource.key] = written
        return written

    def seen(self, resource: Resource) -> RemoteView:
        """Return what is known of the resource's remote regions now."""
        plans: dict[str, RegionPlan] = {}
        states: dict[str, RegionState] = {}
        problems: dict[Problem, None] = {}
        for region, secret in sorted(wanted_regions(resource)):
            outcome = self.outcomes.latest.get(Part(resource.key, secret))
            absence = self.clusters.absence(secret)
            known = outcome.plans.get(region) if outcome else None
            if absence is None and outcome is not None and known is not None:
                # Its time to decide again is for the workers of its cluster, and may be past here.
                plans[region], states[region] = replace(known, requeue_at=None), outcome.states[region]
                problems |= dict.fromkeys(outcome.problems)
                if warning := self.clusters.warning(secret):
                    problems[Problem(warning.reason, f"region {region}: {warning.message}")] = None
                continue
            absence = absence or CONNECTING
            plans[region] = plan_of_absent(region, resource.region_statuses.get(region), absence)
            is_applied = outcome.is_applied and outcome.generation == resource.generation if outcome else None
            is_applied = was_applied(resource, region) if is_applied is None else is_applied
            if not absence.is_first or not is_applied:
                text = f"region {region}: {absence.message}"
                problems[Problem(absence.reason, text, absence.is_lasting, blocks=not is_applied)] = None
        problems |= dict.fromkeys(Problem("RemoteCleanup", text) for text in self._left(resource))
        return RemoteView(plans, states, tuple(problems))

    def publish(self, resource: Resource, whole: ResourcePlan, *, owned_names: frozenset[str]) -> None:
        """Have the remote clusters reconcile what they do not know yet, such as another region's phase."""
        self.outcomes.merged[resource.key] = whole
        wanted = {each.secret for each in wanted_regions(resource)}
        for secret in sorted({each.secret for each in recorded_regions(resource)}):
            part = Part(resource.key, secret)
            outcome = self.outcomes.latest.get(part)
            installation = replace(self.installation, kubeconfig=secret.text)
            entry = registry_of(resource, whole, installation, owned_names=owned_names)
            is_known = outcome is not None and outcome.entry == entry
            if not is_known if secret in wanted else not self._was_tried(part):
                self.clusters.reconcile(*part)

    async def left_of_deleted(self, resource: Resource) -> str:
        """Take the finalizer off a deleted resource that has nothing left in other clusters; else return what is left.

        Raises KubernetesError.
        """
        resource = await self.recorded(resource)
        for secret in sorted({each.secret for each in recorded_regions(resource)}):
            part = Part(resource.key, secret)
            if not self._was_tried(part):
                self.clusters.reconcile(*part)
        return "; ".join(self._left(resource))

    def forget(self, key: Key) -> None:
        """Drop what is known of a deleted resource."""
        self.clusters.use(key, frozenset())
        self.outcomes.forget(key)

    def _was_tried(self, part: Part) -> bool:
        """Whether a cleanup has failed: it is tried again by its own back-off, which this must not cut short."""
        return any(key == part.key and each.secret == part.secret for key, each in self.outcomes.not_cleaned)

    def _left(self, resource: Resource) -> list[str]:
        """Return one text for each region whose cluster has objects still, though it is no longer wanted."""
        left = recorded_regions(resource) - wanted_regions(resource)
        return [self._why_left(resource, each) for each in sorted(left)]

    def _why_left(self, resource: Resource, left: RemoteRegion) -> str:
        absence = self.clusters.absence(left.secret)
        error = self.outcomes.not_cleaned.get((resource.key, left), "it is being done")
        why = error if absence is None else absence.message
        return (
            f"region {left.region}: its objects in the cluster of {left.secret} are not deleted yet: {why}. If that "
            f"cluster is gone for good, give them up: {abandon_line(resource, left.region)}"
        )
