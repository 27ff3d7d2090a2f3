"""Applies and deletes objects: only what differs from the last apply, and only what belongs to the resource.

Knows how an object that is still as it was applied is recognized, and when a name belongs to another owner. Does not
know what the manifests contain or in which order they are applied.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesApi, NotFoundError
from voxfleet_operator.cluster.parsing.objects import ObjectState, parse_object
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.remote.recorded import kubeconfig_of
from voxfleet_operator.kinds import UNOWNED_KINDS, ObjectRef
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.resources import Resource

MARK_CHARACTERS = 12  # 48 bits: compared with the marks of one resource's objects


class NameTakenError(Exception):
    """An object of the needed name exists and has another owner."""


@dataclass(slots=True)
class ObjectWriter:
    """Writes the objects of resources.

    `applied`: a mark of the manifest that was sent last, and of the object that the API server returned for it. While
    it is the same nothing is sent. Both are in it: the API server adds defaults, so they never equal each other. An
    operator that starts finds the marks in the resource's status; what has changed meanwhile has another one.
    """

    api: KubernetesApi
    store: Store
    applied: dict[ObjectRef, str] = field(default_factory=dict)

    async def apply(self, resource: Resource, manifest: Manifest) -> None:
        """Apply a manifest unless the object is already as it was applied last.

        Raises NameTakenError when the object has another owner, KubernetesError when the request fails.
        """
        ref = manifest.ref
        # A digest, not the manifest: thousands of manifests would stay in memory.
        wanted = hashlib.sha256(json.dumps(manifest.body, sort_keys=True).encode()).hexdigest()
        existing = self.store.objects.get(ref)
        if existing is not None and self._is_as_applied(resource, ref, mark_of(ref, wanted, existing)):
            return
        kubeconfig = manifest.body["metadata"].get("annotations", {}).get(names.ANNOTATION_KUBECONFIG, "")
        if existing is None and (kubeconfig or ref.kind not in UNOWNED_KINDS):
            # An object of another owner lacks our labels, so no watch shows it.
            existing = await self._existing(ref)
        if existing is not None and kubeconfig:
            _check_remote_owner(ref, existing, resource, kubeconfig)
        elif existing is not None:
            _check_owner(ref, existing, resource)
        response = await self.api.apply(ref.path, manifest.body)
        self.applied[ref] = mark_of(ref, wanted, self.store.on_applied(ref.kind, response))

    def _is_as_applied(self, resource: Resource, ref: ObjectRef, mark: str) -> bool:
        """Whether an object has the mark of its last apply, by this process or, before its first one, by another."""
        if ref not in self.applied and mark in (resource.status.applied or ""):
            self.applied[ref] = mark
        return self.applied.get(ref) == mark

    def marks(self, refs: Iterable[ObjectRef]) -> str:
        """Return the marks of objects that were applied, for the resource's status."""
        return ",".join(sorted(self.applied[ref] for ref in refs if ref in self.applied))

    async def delete(self, ref: ObjectRef) -> None:
        """Delete an object; one that does not exist is no error."""
        await self.api.delete(ref.path)

    def forget(self, refs: list[ObjectRef]) -> None:
        """Drop what is remembered of deleted objects."""
        for ref in refs:
            self.applied.pop(ref, None)

    async def _existing(self, ref: ObjectRef) -> ObjectState | None:
        try:
            return parse_object(ref.kind, await self.api.get(ref.path))
        except NotFoundError:
            return None


def mark_of(ref: ObjectRef, wanted: str, existing: ObjectState) -> str:
    """Return a mark that changes with the manifest, and with the object."""
    return hashlib.sha256("|".join((*ref, wanted, existing.digest)).encode()).hexdigest()[:MARK_CHARACTERS]


def _check_owner(ref: ObjectRef, existing: ObjectState, resource: Resource) -> None:
    # Unowned objects are found by labels in the operator's own namespaces, so their owner is known already.
    if ref.kind not in UNOWNED_KINDS and existing.owner_uid != resource.uid:
        raise NameTakenError(
            f"{ref.kind} {ref.namespace}/{ref.name} exists and is not controlled by this resource: "
            "delete or rename it, or give this resource another name"
        )


def _check_remote_owner(ref: ObjectRef, existing: ObjectState, resource: Resource, kubeconfig: str) -> None:
    """No owner reference reaches into another cluster: annotations name the resource and the Secret."""
    where = f"{ref.kind} {ref.namespace}/{ref.name} in the cluster of {kubeconfig}"
    if not existing.kubeconfig or existing.recorded_uid != resource.uid:
        raise NameTakenError(
            f"{where} exists and was not made for this resource: delete it there, or give this resource another name"
        )
    others = {kubeconfig_of(region) for region in resource.spec.regions} - {kubeconfig}
    if existing.kubeconfig in others:
        raise NameTakenError(
            f"{where} was made by {existing.kubeconfig}, which leads to the same cluster: use one Secret for all "
            "regions of a cluster"
        )
