"""Which regions there are: those of the registry, and those it names no longer while their requests are open.

Knows: registry entries, and how a region is found by what an event names (region_index.py).
Does not know: pods, requests, when a region is over.
"""

from dataclasses import dataclass, field

from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.pods.region_index import RegionIndex
from voxfleet_gateway.regions import ModelEntry, ObjectKey, RegionKey


@dataclass(slots=True)
class RegionTable:
    """The regions by key, and their index."""

    regions: dict[RegionKey, RegionState] = field(default_factory=dict)
    index: RegionIndex = field(default_factory=RegionIndex)

    def apply(
        self, ref: ObjectKey, model: ModelEntry | None, gateway_region: str
    ) -> tuple[tuple[RegionKey, ...], list[RegionKey]]:
        """Make one RegionState per region of a model; known ones keep their object, and with it their counters.

        Returns the keys of the model's regions, and those of regions that it names no longer: they are marked, and stay
        until `remove`. `model` is None where the registry has it no longer.
        """
        known = self.index.of_model(ref)
        keys = model.keys if model is not None else ()
        gone = [key for key in known if key not in keys]
        for key in gone:
            self.regions[key].is_registered = False
        if model is not None:
            self._put(model, gateway_region)
        return keys, gone

    def remove(self, key: RegionKey) -> None:
        """Forget a region."""
        del self.regions[key]
        self.index.remove(key)

    def _put(self, model: ModelEntry, gateway_region: str) -> None:
        here = model.regions_here(gateway_region)
        for key, entry in zip(model.keys, model.regions, strict=True):
            region = self.regions.get(key) or RegionState(key, model, entry)
            region.model, region.entry, region.is_registered = model, entry, True
            region.is_here = entry.name in here
            self.regions[key] = region
            self.index.put(key, entry)
