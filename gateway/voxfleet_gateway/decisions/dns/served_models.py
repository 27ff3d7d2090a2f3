"""The models and regions that names resolve to, by the registry or by the zone file. Pure.

Knows: what a registry entry means for DNS.
Does not know: addresses, names in a zone (zone.py), which region is healthy.
"""

from dataclasses import dataclass

from voxfleet_gateway.regions import Location, ModelEntry, RegionEntry


@dataclass(frozen=True, slots=True)
class ServedRegion:
    """One region of one model."""

    name: str
    location: Location | None = None
    countries: tuple[str, ...] = ()  # of clients that it may serve; empty: of all
    price_per_gpu_hour: float = 0.0
    max_slots: float = 0.0  # of all replicas that it may have
    is_suspended: bool = False
    gateway_url: str = ""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model."""

    namespace: str
    name: str  # of the resource
    model: str  # what clients send; the resource's name where another one owns it
    regions: tuple[ServedRegion, ...]

    @property
    def full_name(self) -> str:
        """Namespace and name, which no other resource can have."""
        return f"{self.namespace}/{self.name}"

    @property
    def usable_regions(self) -> tuple[ServedRegion, ...]:
        """The regions that are not suspended; all of them where every one is, since a gateway says so."""
        return tuple(region for region in self.regions if not region.is_suspended) or self.regions


def served_model(entry: ModelEntry) -> ServedModel:
    """Return what DNS needs of a registry entry."""
    rows = float(entry.serving.max_batch_size)
    return ServedModel(
        entry.namespace,
        entry.name,
        entry.model if entry.owns_model_name else entry.name,
        tuple(_served_region(region, rows) for region in entry.regions),
    )


def _served_region(entry: RegionEntry, rows_per_replica: float) -> ServedRegion:
    return ServedRegion(
        entry.name,
        entry.location,
        entry.allowed_clients,
        entry.price_per_gpu_hour,
        entry.max_replicas * rows_per_replica,
        entry.suspended,
        entry.gateway_url or "",
    )
