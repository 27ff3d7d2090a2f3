"""Finds the regions of a model, a Service or a Lease without a search: an event costs the same in any fleet.

Knows: keys. Does not know: what a region's state is.
"""

from dataclasses import dataclass, field

from voxfleet_gateway.regions import ObjectKey, ObjectRef, RegionEntry, RegionKey

Keys = dict[RegionKey, None]  # an ordered set


@dataclass(slots=True)
class RegionIndex:
    """The keys of all known regions, by what an event names."""

    by_model: dict[ObjectKey, Keys] = field(default_factory=dict)
    by_service: dict[ObjectKey, Keys] = field(default_factory=dict)
    by_lease: dict[ObjectKey, Keys] = field(default_factory=dict)
    entries: dict[RegionKey, RegionEntry] = field(default_factory=dict)

    def put(self, key: RegionKey, entry: RegionEntry) -> None:
        """Add a region, or replace its entry."""
        if self.entries.get(key) is entry:
            return
        self.remove(key)
        self.entries[key] = entry
        for index, name in self._names(key, entry):
            index.setdefault(name, {})[key] = None

    def remove(self, key: RegionKey) -> None:
        """Remove a region."""
        entry = self.entries.pop(key, None)
        for index, name in self._names(key, entry) if entry is not None else ():
            index[name].pop(key)
            if not index[name]:
                del index[name]

    def of_model(self, model: ObjectKey) -> list[RegionKey]:
        """Return the regions of a model, given by namespace and name."""
        return [*self.by_model.get(model, ())]

    def of_service(self, service: ObjectKey) -> list[RegionKey]:
        """Return the regions whose pods are behind the Service."""
        return [*self.by_service.get(service, ())]

    def of_lease(self, lease: ObjectKey) -> list[RegionKey]:
        """Return the regions that the Lease keeps awake."""
        return [*self.by_lease.get(lease, ())]

    def _names(self, key: RegionKey, entry: RegionEntry) -> list[tuple[dict[ObjectKey, Keys], ObjectKey]]:
        refs: list[tuple[dict[ObjectKey, Keys], ObjectRef | None]]
        refs = [(self.by_service, entry.service), (self.by_lease, entry.lease)]
        named = [(index, (ref.namespace, ref.name)) for index, ref in refs if ref is not None]
        return [(self.by_model, (key.namespace, key.name)), *named]
