"""Reads and writes VoxTTSDeployments themselves, in the operator's own cluster, whatever cluster their objects are in.

Knows that the watch may be behind, so the API server is asked. Does not know what a status says.
"""

from dataclasses import dataclass

from voxfleet_operator import names
from voxfleet_operator.cluster.api import NOT_FOUND, Body, KubernetesApi, NotFoundError
from voxfleet_operator.kinds import resource_path
from voxfleet_operator.resources import API_VERSION, KIND, Key, Resource, read_resource


@dataclass(frozen=True, slots=True)
class OwnResources:
    """Requests about resources."""

    api: KubernetesApi

    async def check(self, resource: Resource) -> None:
        """Raise NotFoundError if the resource was deleted, or replaced by one of the same name.

        Called before something new is created, because the watch may be behind: an unowned object that is created
        after its resource is gone would stay for ever.
        """
        found = await self.api.get(resource_path(resource.key))
        if found["metadata"]["uid"] != resource.uid or found["metadata"].get("deletionTimestamp"):
            raise NotFoundError(NOT_FOUND, f"{resource.key} was deleted meanwhile")

    async def exists(self, key: Key) -> bool:
        """Ask the API server itself: a resource that watches have not shown yet exists all the same."""
        try:
            body = await self.api.get(resource_path(key))
        except NotFoundError:
            return False
        return not body["metadata"].get("deletionTimestamp")

    async def write_status(self, resource: Resource, status: Body) -> Resource:
        """Write a status; return the resource as it is then."""
        return read_resource(
            await self.api.apply(f"{resource_path(resource.key)}/status", _body(resource) | {"status": status})
        )

    async def record_remote(self, resource: Resource, regions: str) -> Resource:
        """Record the remote regions, with the finalizer, or without any take both off; return the new resource."""
        body = _body(resource)
        if regions:
            body["metadata"] |= {
                "annotations": {names.ANNOTATION_REMOTE_REGIONS: regions},
                "finalizers": [names.FINALIZER],
            }
        return read_resource(await self.api.apply(resource_path(resource.key), body))


def _body(resource: Resource) -> Body:
    # The uid makes the API server refuse a write for a new resource of the same name.
    metadata = {"name": resource.key.name, "namespace": resource.key.namespace, "uid": resource.uid}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
