"""Looks up what users and administrators have made for weights: a claim, and the storage classes.

Knows for how long an answer counts: a bad one is asked for again soon, because it is about to be mended. Does not know
what is wrong with an answer (decisions/weights/claims.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_operator.cluster.api import Body, KubernetesApi, KubernetesError, NotFoundError
from voxfleet_operator.decisions.weights.claims import StorageClass, UsersClaim
from voxfleet_operator.kinds import ObjectRef

GOOD_SECONDS = 600.0
BAD_SECONDS = 60.0
STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Storage:
    """The answers, and until when each counts."""

    api: KubernetesApi
    clock: Callable[[], float]
    claims: dict[ObjectRef, tuple[float, UsersClaim | None]] = field(default_factory=dict)
    classes: tuple[float, tuple[StorageClass, ...] | None] = (0.0, None)

    async def claim(self, namespace: str, name: str, spec_field: str) -> UsersClaim | None:
        """Return a user's claim; None while that is not known."""
        now, ref = self.clock(), ObjectRef("PersistentVolumeClaim", namespace, name)
        self.claims = {each: known for each, known in self.claims.items() if known[0] > now}
        if ref not in self.claims:
            found = await self._found_claim(ref, spec_field)
            is_good = found is not None and found.exists and found.is_shared
            self.claims[ref] = (now + (GOOD_SECONDS if is_good else BAD_SECONDS), found)
        return self.claims[ref][1]

    async def storage_classes(self) -> tuple[StorageClass, ...] | None:
        """Return the classes of the cluster, by name; None while they are not known."""
        if self.classes[0] <= self.clock():
            self.classes = (self.clock() + BAD_SECONDS, await self._found_classes())
        return self.classes[1]

    async def _found_claim(self, ref: ObjectRef, spec_field: str) -> UsersClaim | None:
        try:
            body = await self.api.get(ref.path)
        except NotFoundError:
            return UsersClaim(ref.name, spec_field, exists=False)
        except KubernetesError as error:
            log.warning("claim not read", name=ref.name, namespace=ref.namespace, error=str(error))
            return None
        # What the volume offers, once there is one: more than the claim asks for.
        offered = (body.get("status") or {}).get("accessModes") or (body.get("spec") or {}).get("accessModes") or ()
        return UsersClaim(ref.name, spec_field, access_modes=tuple(offered))

    async def _found_classes(self) -> tuple[StorageClass, ...] | None:
        try:
            listed: list[Body] = (await self.api.get(STORAGE_CLASSES)).get("items") or []
        except KubernetesError as error:
            log.warning("storage classes not listed", error=str(error))
            return None
        return tuple(sorted((_storage_class(body) for body in listed), key=lambda each: each.name))


def _storage_class(body: Body) -> StorageClass:
    annotations = body["metadata"].get("annotations") or {}
    return StorageClass(body["metadata"]["name"], annotations.get(DEFAULT_CLASS) == "true")
