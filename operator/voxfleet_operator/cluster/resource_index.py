"""The VoxTTSDeployments of the operator's own cluster, as kopf delivers them, and the queue calls that changes cause.

Knows which other resources a change of one concerns. Does not know the objects that are made for them (store.py).
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from voxfleet_operator.decisions.ways_in import hosts_of
from voxfleet_operator.resources import Key, Resource

MemberT = TypeVar("MemberT")
NameT = TypeVar("NameT", bound=Hashable)
Name = tuple[str, str]  # model or host, and its name


@dataclass(slots=True)
class ResourceIndex:
    """Observed resources, and `namesakes` by model name, alias and host; `enqueue` gets the key of a changed one."""

    enqueue: Callable[[Key], None]
    resources: dict[Key, Resource] = field(default_factory=dict)
    namesakes: dict[Name, set[Key]] = field(default_factory=dict)

    def put(self, resource: Resource) -> None:
        """Record a new or changed VoxTTSDeployment; resources of the same name or host are enqueued too."""
        # Whether a resource owns its names shows in its registry entry, its Ingress and its conditions.
        before = self.resources.get(resource.key)
        self.resources[resource.key] = resource
        old, new = _names(before), _names(resource)
        for name in old - new:
            discard(self.namesakes, name, resource.key)
        for name in new - old:
            self.namesakes.setdefault(name, set()).add(resource.key)
        self._enqueue_namesakes(old ^ new, resource.key)
        if before is None or before.spec.cache != resource.spec.cache or before.spec.image != resource.spec.image:
            self._enqueue_pre_pulls(resource, before)
        self.enqueue(resource.key)

    def remove(self, key: Key) -> None:
        """Record a deleted VoxTTSDeployment; another resource may own its names now."""
        gone = self.resources.pop(key, None)
        if gone is not None:
            for name in _names(gone):
                discard(self.namesakes, name, key)
            self._enqueue_namesakes(_names(gone), key)
            self._enqueue_pre_pulls(gone, None)
        self.enqueue(key)

    def enqueue_all(self) -> None:
        """Enqueue every resource: something that concerns many of them has changed."""
        for key in self.resources:
            self.enqueue(key)

    def owner_of_model_name(self, model_name: str) -> Key | None:
        """Return the oldest resource with that model name or alias."""
        return self._oldest(("model", model_name))

    def owners_of_names(self, resource: Resource) -> dict[str, Key | None]:
        """Return the oldest resource with each of this one's names."""
        return {name: self.owner_of_model_name(name) for name in resource.model_names}

    def owned_names(self, resource: Resource) -> frozenset[str]:
        """Return those of the resource's names that no older resource has."""
        return frozenset(name for name, owner in self.owners_of_names(resource).items() if owner == resource.key)

    def owners_of_hosts(self, resource: Resource) -> dict[str, Key]:
        """Return the oldest resource with each of the hosts that a resource asks for."""
        found = {host: self._oldest(("host", host)) for host in hosts_of(resource.spec)}
        return {host: key for host, key in found.items() if key is not None}

    def _oldest(self, name: Name) -> Key | None:
        namesakes = [self.resources[key] for key in self.namesakes.get(name, ())]
        oldest = min(namesakes, key=lambda resource: (resource.created_at, resource.key), default=None)
        return oldest.key if oldest else None

    def _enqueue_namesakes(self, names: Iterable[Name], changed: Key) -> None:
        for key in sorted({key for name in names for key in self.namesakes.get(name, ())} - {changed}):
            self.enqueue(key)

    def _enqueue_pre_pulls(self, changed: Resource, before: Resource | None) -> None:
        """Enqueue the resources that may have to pull an image now which another one has pulled for them."""
        if not any(each.spec.cache.pre_pull_image for each in (changed, before) if each is not None):
            return
        for other in self.resources.values():
            if other.spec.cache.pre_pull_image and other.key != changed.key:
                self.enqueue(other.key)


def _names(resource: Resource | None) -> set[Name]:
    """What only one resource can own: the oldest of those that ask for it."""
    if resource is None:
        return set()
    models = (("model", name) for name in resource.model_names)
    return {*models, *(("host", host) for host in hosts_of(resource.spec))}


def discard(index: dict[NameT, set[MemberT]], name: NameT, member: MemberT) -> None:
    """Take a member out of an index, and an entry without members too."""
    members = index.get(name, set())
    members.discard(member)
    if not members:
        index.pop(name, None)
