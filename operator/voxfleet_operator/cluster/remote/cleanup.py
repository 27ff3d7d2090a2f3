"""Deletes what was made for a resource in a remote cluster, where no garbage collector knows the resource.

Knows the labels and annotations that all of it carries. Lists instead of trusting a store, and deletes an object only
as it was listed: another Secret of the same resource may have taken it over meanwhile.
"""

from dataclasses import dataclass

import structlog

from voxfleet_operator import names
from voxfleet_operator.cluster.api import FORBIDDEN, NOT_FOUND, Body, KubernetesApi, KubernetesError
from voxfleet_operator.kinds import TABLE, Kind, Scope
from voxfleet_operator.resources import Key

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Deletes the objects of one resource that were made by one Secret."""

    api: KubernetesApi
    system_namespace: str
    demand_namespace: str

    async def delete(self, key: Key, uid: str, kubeconfig: str, region: str | None = None) -> int:
        """Delete the objects of one region, or all of them (None); return how many. Raises KubernetesError."""
        count = 0
        # The ConfigMap first: gateways must not send requests to servers that end.
        applied = (each for each in TABLE if each.is_applied and not each.is_home_only)
        for kind in sorted(applied, key=lambda each: each.name != "ConfigMap"):
            for body in await self._made(kind, key, region):
                metadata = body["metadata"]
                annotations = metadata.get("annotations") or {}
                made_by = annotations.get(names.ANNOTATION_UID), annotations.get(names.ANNOTATION_KUBECONFIG)
                if made_by != (uid, kubeconfig) or metadata.get("deletionTimestamp"):
                    continue
                path = f"{kind.path(metadata['namespace'])}/{metadata['name']}"
                preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
                await self.api.delete(path, preconditions)
                log.info("remote object deleted", kind=kind.name, name=metadata["name"], resource=str(key))
                count += 1
        return count

    async def _made(self, kind: Kind, key: Key, region: str | None) -> list[Body]:
        namespaces = {Scope.SYSTEM: self.system_namespace, Scope.DEMAND: self.demand_namespace}
        labels = {
            names.LABEL_DEPLOYMENT: key.name,
            names.LABEL_NAMESPACE: key.namespace,
            names.LABEL_REMOTE: "true",
            **({names.LABEL_REGION: region} if region else {}),
        }
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        path = kind.path(namespaces.get(kind.scope, key.namespace))
        try:
            return (await self.api.get(f"{path}?labelSelector={selector}")).get("items") or []
        except KubernetesError as error:
            # What the cluster does not serve, or this account may not list, it has not made either.
            if kind.is_optional and error.status in {FORBIDDEN, NOT_FOUND}:
                return []
            raise
