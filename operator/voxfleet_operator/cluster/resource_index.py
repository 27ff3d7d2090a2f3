"""The VoxTTSDeployments of the operator's own cluster, as kopf delivers them, and the queue calls that changes cause.

Knows which other resources a change of one concerns. Does not know the objects that are made for them (store.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from voxfleet_operator.resources import Key, Resource

MemberT = TypeVar("MemberT")


@dataclass(slots=True)
class ResourceIndex:
    """Observed resources; `namesakes` indexes them by model name. `enqueue` gets the key of a changed one."""

    enqueue: Callable[[Key], None]
    resources: dict[Key, Resource] = field(default_factory=dict)
    namesakes: dict[str, set[Key]] = field(default_factory=dict)

    def put(self, resource: Resource) -> None:
        """Record a new or changed VoxTTSDeployment; resources of the same model name are enqueued too."""
        # Whether a resource owns its model name shows in its registry entry and its conditions.
        before = self.resources.get(resource.key)
        self.resources[resource.key] = resource
        if before is None or before.model_name != resource.model_name:
            self._unname(before)
            self.namesakes.setdefault(resource.model_name, set()).add(resource.key)
            self._enqueue_namesakes(resource)
        if before is None or before.spec.cache != resource.spec.cache or before.spec.image != resource.spec.image:
            self._enqueue_pre_pulls(resource, before)
        self.enqueue(resource.key)

    def remove(self, key: Key) -> None:
        """Record a deleted VoxTTSDeployment; another resource may own its model name now."""
        gone = self.resources.pop(key, None)
        if gone is not None:
            self._unname(gone)
            self._enqueue_namesakes(gone)
            self._enqueue_pre_pulls(gone, None)
        self.enqueue(key)

    def owner_of_model_name(self, model_name: str) -> Key | None:
        """Return the oldest resource with that model name."""
        namesakes = [self.resources[key] for key in self.namesakes.get(model_name, ())]
        oldest = min(namesakes, key=lambda resource: (resource.created_at, resource.key), default=None)
        return oldest.key if oldest else None

    def _enqueue_namesakes(self, resource: Resource) -> None:
        for key in sorted(self.namesakes.get(resource.model_name, set()) - {resource.key}):
            self.enqueue(key)

    def _unname(self, resource: Resource | None) -> None:
        if resource is not None:
            discard(self.namesakes, resource.model_name, resource.key)

    def _enqueue_pre_pulls(self, changed: Resource, before: Resource | None) -> None:
        """Enqueue the resources that may have to pull an image now which another one has pulled for them."""
        if not any(each.spec.cache.pre_pull_image for each in (changed, before) if each is not None):
            return
        for other in self.resources.values():
            if other.spec.cache.pre_pull_image and other.key != changed.key:
                self.enqueue(other.key)


def discard(index: dict[str, set[MemberT]], name: str, member: MemberT) -> None:
    """Take a member out of an index, and an entry without members too."""
    members = index.get(name, set())
    members.discard(member)
    if not members:
        index.pop(name, None)
