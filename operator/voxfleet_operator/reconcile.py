"""Reconciles one resource: observe, decide, act. Level-triggered: a second run changes nothing and sends nothing.

Knows the order of acting and how to tell that an object stands as it was applied. Does not know how decisions are
made (decisions/), what objects contain (manifests/), or why it was called.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.api import NOT_FOUND, ConflictError, KubernetesApi, KubernetesError, NotFoundError
from voxfleet_operator.cluster.kinds import object_path, resource_path
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.parsing import ObjectState, object_seen
from voxfleet_operator.cluster.store import UNOWNED_KINDS, Store
from voxfleet_operator.conditions import ConditionInput, Problem, paused_conditions
from voxfleet_operator.decisions.features import missing_features
from voxfleet_operator.decisions.observed import RegionState
from voxfleet_operator.decisions.region_plan import LeaseAction, RegionPlan, decide
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.manifests import Installation, Manifest, desired_objects
from voxfleet_operator.manifests.pod import template_conflicts
from voxfleet_operator.manifests.weights import weights_of
from voxfleet_operator.resources import (
    API_VERSION,
    KIND,
    Key,
    Resource,
    VoxTTSDeploymentStatus,
    effective_pod_template,
    read_resource,
)
from voxfleet_operator.status import as_json, is_verified, resource_status, write_at

log = structlog.get_logger(__name__)

ObjectRef = tuple[str, str, str]

# What exists once per region.
REMOVED_KINDS = ("Deployment", "Service", "Lease")


class NameTakenError(Exception):
    """An object of the needed name belongs to somebody else."""


@dataclass(slots=True)
class Reconciler:
    """Brings the cluster to what resources ask for."""

    api: KubernetesApi
    store: Store
    observer: Observer
    installation: Installation
    clock: Callable[[], float] = time.time
    sent: dict[ObjectRef, tuple[str, str]] = field(default_factory=dict)
    status_written_at: dict[Key, float] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> float | None:
        """One resource, once. Returns when to look again, if nothing happens before."""
        try:
            return await self._converge(key)
        except NotFoundError:
            if await self._still_exists(key):
                raise
            self.store.remove_resource(key)
            return None

    async def _converge(self, key: Key) -> float | None:
        resource = self.store.resources.get(key)
        if resource is None or resource.is_deleting:
            await self._delete_orphans(key)
            return None
        if resource.annotations.get(names.ANNOTATION_RECONCILE) == "paused":
            await self._pause(resource)
            return None
        now = self.clock()
        observed = {region.name: self.observer.observe(resource, region, now) for region in resource.spec.regions}
        plans = {name: decide(seen, now) for name, seen in observed.items()}
        self._log_changes(resource, observed, plans)
        errors = await self._apply_all(resource, plans)
        if not errors:
            errors += await self._remove_what_is_not_wanted(resource, plans)
        errors += await self._act_on_leases(resource, observed, plans, now)
        requeue_at = await self._report(resource, observed, plans, errors)
        _raise_first(errors)
        return requeue_at

    async def _apply_all(self, resource: Resource, plans: dict[str, RegionPlan]) -> list[Exception]:
        """Every object that does not stand as wanted; one that fails does not keep the others."""
        errors: list[Exception] = []
        manifests = self._bundle(resource, plans)
        if any((made.kind, made.namespace, made.name) not in self.store.objects for made in manifests):
            await self._check_owner(resource)
        for manifest in manifests:
            try:
                await self._apply(resource, manifest)
            except (KubernetesError, NameTakenError) as error:
                errors.append(error)
        return errors

    def _bundle(self, resource: Resource, plans: dict[str, RegionPlan]) -> list[Manifest]:
        owns = self.store.owner_of_model_name(resource.model_name) == resource.key
        return desired_objects(resource, plans, self.installation, owns_model_name=owns)

    async def _remove_what_is_not_wanted(self, resource: Resource, plans: dict[str, RegionPlan]) -> list[Exception]:
        """A region that left the spec: gateways know already, its servers finish what they have."""
        wanted = {(made.kind, made.namespace, made.name) for made in self._bundle(resource, plans)}
        errors: list[Exception] = []
        for place in self.store.refs_of(resource.key, REMOVED_KINDS):
            if place in wanted or resource.uid not in self.store.objects[place].uids_of_owner:
                continue
            try:
                await self.api.delete(object_path(*place))
                log.info("removed", kind=place[0], name=place[2], resource=str(resource.key))
            except KubernetesError as error:
                errors.append(error)
        return errors

    async def _apply(self, resource: Resource, manifest: Manifest) -> None:
        place = (manifest.kind, manifest.namespace, manifest.name)
        wanted = hashlib.sha256(json.dumps(manifest.body, sort_keys=True).encode()).hexdigest()
        seen = self.store.objects.get(place)
        if seen is not None and self.sent.get(place) == (wanted, seen.digest):
            return
        path = object_path(*place)
        if seen is None and manifest.kind not in UNOWNED_KINDS:
            seen = await self._look_for(path, manifest.kind)
        if seen is not None:
            _refuse_foreign(manifest, seen, resource)
        answer = await self.api.apply(path, manifest.body)
        self.sent[place] = (wanted, self.store.applied(manifest.kind, answer).digest)

    async def _check_owner(self, resource: Resource) -> None:
        """Before something new is made: does the resource still exist, and is it still the same?"""
        owner = await self.api.get(resource_path(resource.key))
        if owner["metadata"]["uid"] != resource.uid or owner["metadata"].get("deletionTimestamp"):
            raise NotFoundError(NOT_FOUND, f"{resource.key} was deleted meanwhile")

    async def _look_for(self, path: str, kind: str) -> ObjectState | None:
        """Before the first apply: is the name free?"""
        try:
            return object_seen(kind, await self.api.get(path))
        except NotFoundError:
            return None

    async def _act_on_leases(
        self, resource: Resource, observed: dict[str, RegionState], plans: dict[str, RegionPlan], now: float
    ) -> list[Exception]:
        errors: list[Exception] = []
        for plan in plans.values():
            lease = observed[plan.name].lease
            if plan.lease_action == LeaseAction.NONE or lease is None:
                continue
            try:
                await self._patch_lease(resource, plan, lease.resource_version, now)
            except ConflictError:
                log.info("lease changed meanwhile: stays awake", resource=str(resource.key), region=plan.name)
            except KubernetesError as error:
                errors.append(error)
        return errors

    async def _patch_lease(self, resource: Resource, plan: RegionPlan, version: str, now: float) -> None:
        """Under a precondition: a gateway that renewed in between wins."""
        name = names.lease_name(resource.key.namespace, resource.key.name, plan.name)
        mark = {"metadata": {"resourceVersion": version, "annotations": {names.ANNOTATION_ASLEEP_SINCE: None}}}
        patch: dict[str, object] = dict(mark)
        if plan.lease_action == LeaseAction.MARK_ASLEEP:
            annotations = {names.ANNOTATION_ASLEEP_SINCE: to_micro_time(now)}
            patch = {"metadata": {"resourceVersion": version, "annotations": annotations}}
        elif plan.lease_action == LeaseAction.RENEW and plan.renew_to is not None:
            patch |= {"spec": {"renewTime": to_micro_time(plan.renew_to), "holderIdentity": names.FIELD_MANAGER}}
        path = object_path("Lease", self.installation.demand_namespace, name)
        self.store.applied("Lease", await self.api.merge(path, patch))

    async def _report(
        self,
        resource: Resource,
        observed: dict[str, RegionState],
        plans: dict[str, RegionPlan],
        errors: list[Exception],
    ) -> float | None:
        """The status, if it is worth writing now; returns when to look again."""
        now = self.clock()
        problems = (*self._problems(resource), *map(_as_problem, errors))
        given = ConditionInput(tuple(plans.values()), problems, is_verified(resource, observed))
        status = resource_status(resource, given, observed, now)
        deadlines = [plan.requeue_at for plan in plans.values() if plan.requeue_at is not None]
        due_at = write_at(resource.status, status, self.status_written_at.get(resource.key, 0.0))
        if due_at is not None and due_at <= now:
            await self._write_status(resource, status)
        elif due_at is not None:
            deadlines.append(due_at)
        return min(deadlines, default=None)

    async def _write_status(self, resource: Resource, status: VoxTTSDeploymentStatus) -> None:
        metadata = {"name": resource.key.name, "namespace": resource.key.namespace, "uid": resource.uid}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": as_json(status)}
        answer = await self.api.apply(f"{resource_path(resource.key)}/status", body)
        self.status_written_at[resource.key] = self.clock()
        if self.store.resources.get(resource.key) is resource:
            self.store.resources[resource.key] = read_resource(answer)

    async def _pause(self, resource: Resource) -> None:
        given = paused_conditions(tuple(resource.status.conditions), resource.generation, self.clock())
        status = resource.status.model_copy(update={"conditions": given})
        if as_json(status) != as_json(resource.status):
            await self._write_status(resource, status)

    async def _delete_orphans(self, key: Key) -> None:
        """The resource is gone: what lies in other namespaces has no owner that would take it along."""
        leftovers = self.store.refs_of(key, UNOWNED_KINDS)
        self.observer.forget(key)
        self.status_written_at.pop(key, None)
        for place in [place for place in self.sent if place in leftovers]:
            del self.sent[place]
        if not leftovers or await self._still_exists(key):
            return
        for place in leftovers:
            await self.api.delete(object_path(*place))
            log.info("collected", kind=place[0], name=place[2], resource=str(key))

    async def _still_exists(self, key: Key) -> bool:
        """Asked of the API server itself: what watches have not shown yet is not gone."""
        try:
            body = await self.api.get(resource_path(key))
        except NotFoundError:
            return False
        return not body["metadata"].get("deletionTimestamp")

    def _problems(self, resource: Resource) -> list[Problem]:
        problems = [Problem("FeatureNotAvailable", text) for text in missing_features(resource.spec)]
        owner = self.store.owner_of_model_name(resource.model_name)
        if owner != resource.key:
            text = f"model name {resource.model_name} belongs to {owner}; here it answers as {resource.key} only"
            problems.append(Problem("ModelNameTaken", text))
        weights = weights_of(resource.spec, self.installation.allowed_host_paths)
        for region in resource.spec.regions:
            for field_name in template_conflicts(effective_pod_template(resource.spec, region), weights):
                text = f"podTemplate.{field_name} is set by VoxFleet itself and was left out; choose another name"
                problems.append(Problem("TemplateConflict", text))
        return list(dict.fromkeys(problems))

    def _log_changes(self, resource: Resource, observed: dict[str, RegionState], plans: dict[str, RegionPlan]) -> None:
        for plan in plans.values():
            seen = observed[plan.name]
            if plan.phase != seen.previous_phase or plan.replicas != seen.replicas:
                log.info(
                    "region",
                    resource=str(resource.key),
                    region=plan.name,
                    phase=str(plan.phase),
                    replicas=plan.replicas,
                    reason=plan.woken_reason if plan.phase == "Waking" else plan.reason,
                    message=plan.message,
                )


def _refuse_foreign(manifest: Manifest, seen: ObjectState, resource: Resource) -> None:
    """Beside the resource only what it controls itself is ours; elsewhere the label says so already."""
    if manifest.kind not in UNOWNED_KINDS and seen.owner_uid != resource.uid:
        raise NameTakenError(
            f"{manifest.kind} {manifest.namespace}/{manifest.name} exists and is not controlled by this resource: "
            "delete or rename it, or give this resource another name"
        )


def _as_problem(error: Exception) -> Problem:
    return Problem("NameTaken" if isinstance(error, NameTakenError) else "ApplyFailed", str(error))


def _raise_first(errors: list[Exception]) -> None:
    if errors:
        raise errors[0]
