"""The registry of models and regions that the operator writes into ConfigMaps. Pure.

Knows: the schema voxfleet.dev/registry/v1, and which resource owns a model's bare name.
Does not know: Kubernetes, which pods run, which requests arrive.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from voxfleet_gateway.errors import RegistryEntryError

DATA_KEY = "model.json"

ObjectKey = tuple[str, str]  # namespace, name


class Location(NamedTuple):
    """A point on the globe, in degrees; a tuple, because it is the key of a cache in every decision."""

    latitude: float
    longitude: float


Phase = Literal["Asleep", "Waking", "Awake", "Draining", "Failed", "Suspended"]


class _Border(BaseModel):
    """Base of what is read from a ConfigMap; fields that a newer operator adds are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ObjectRef(_Border):
    """A Kubernetes object's namespace and name."""

    namespace: str
    name: str


class GatewayRules(_Border):
    """The resource's `spec.gateway`, as far as gateways use it; decisions get it whole (RouteRequest.rules)."""

    hold_seconds: float = Field(default=600, ge=0)
    max_held_requests: int = Field(default=256, ge=0)
    spill: bool = True
    public_catalog: bool = False


DEFAULT_RULES = GatewayRules()


class ServingRules(_Border):
    """The resource's `spec.serving`, as far as gateways use it."""

    max_batch_size: int = Field(default=32, ge=1, le=10_000)
    max_queued_requests: int = Field(default=128, ge=0, le=100_000)

    def open_limit(self, replicas: int) -> int:
        """Return how many requests each of several gateways may have open at one pod."""
        return max(1, (self.max_batch_size + self.max_queued_requests) // replicas)


DEFAULT_SERVING = ServingRules()


class RegionEntry(_Border):
    """One region of one model."""

    name: str
    latitude: float | None = Field(default=None, ge=-90, le=90)
    longitude: float | None = Field(default=None, ge=-180, le=180)
    gateway_url: str | None = None
    allowed_clients: tuple[str, ...] = ()
    suspended: bool = False
    local: bool = True  # in the cluster of this ConfigMap, and so of its gateways
    max_replicas: int = 1
    service: ObjectRef | None = None
    lease: ObjectRef | None = None
    price_per_gpu_hour: float = Field(default=0.0, ge=0)
    phase: Phase = "Asleep"
    message: str = ""
    retry_after_seconds: float | None = None
    predicted_wake_seconds: float | None = None

    @property
    def location(self) -> Location | None:
        """The region's place on the globe, if the resource names it."""
        if self.latitude is None or self.longitude is None:
            return None
        return Location(self.latitude, self.longitude)


@dataclass(frozen=True, slots=True, order=True)
class RegionKey:
    """One region of one model: the unit that sleeps and wakes, and that requests are held for."""

    namespace: str
    name: str
    region: str

    @property
    def labels(self) -> tuple[str, str, str]:
        """Values of the metric labels namespace, name, region."""
        return (self.namespace, self.name, self.region)


class ModelEntry(_Border):
    """One VoxTTSDeployment: the content of one ConfigMap."""

    schema_: Literal["voxfleet.dev/registry/v1"] = Field(alias="schema")
    namespace: str
    name: str
    model: str
    owns_model_name: bool = True
    created_at: AwareDatetime = datetime(1970, 1, 1, tzinfo=UTC)
    generation: int = 0
    suspended: bool = False
    gateway: GatewayRules = DEFAULT_RULES
    serving: ServingRules = DEFAULT_SERVING
    idle_timeout_seconds: float = 1800
    regions: tuple[RegionEntry, ...] = ()

    @property
    def full_name(self) -> str:
        """Namespace and name, which no other resource can have."""
        return f"{self.namespace}/{self.name}"

    @property
    def ref(self) -> ObjectKey:
        """Namespace and name as a key."""
        return self.namespace, self.name

    @cached_property
    def keys(self) -> "tuple[RegionKey, ...]":
        """The keys of the regions, in their order."""
        return tuple(self.key(entry.name) for entry in self.regions)

    @cached_property
    def places(self) -> tuple[tuple[str, Location | None], ...]:
        """Names and locations of the regions, in their order."""
        return tuple((entry.name, entry.location) for entry in self.regions)

    def regions_here(self, gateway_region: str) -> frozenset[str]:
        """Return the regions in the cluster of a gateway of this region.

        The registry says which regions the operator's cluster has. A gateway whose own region is not among them runs in
        another cluster, where it reaches its own region only.
        """
        own = next((entry for entry in self.regions if entry.name == gateway_region), None)
        if own is not None and not own.local:
            return frozenset({own.name})
        return frozenset(entry.name for entry in self.regions if entry.local)

    def key(self, region: str) -> RegionKey:
        """Return the key of the region of that name."""
        return RegionKey(self.namespace, self.name, region)


def parse_entry(data: Mapping[str, str]) -> ModelEntry:
    """Read one ConfigMap's data. Raises RegistryEntryError, which names the key or field and its value."""
    if DATA_KEY not in data:
        raise RegistryEntryError(f"data key {DATA_KEY!r} is missing; present: {sorted(data)}")
    try:
        return ModelEntry.model_validate(json.loads(data[DATA_KEY]))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RegistryEntryError(f"{DATA_KEY}: {where}: {first['msg']}, given {first['input']!r:.80}") from error
    except (ValueError, RecursionError) as error:
        raise RegistryEntryError(f"{DATA_KEY} is not JSON: {error}") from error


@dataclass(slots=True)
class Registry:
    """All models, by every name that resolves to them; a change costs the same however many there are."""

    entries: dict[ObjectKey, ModelEntry] = field(default_factory=dict)  # by namespace and name
    by_name: dict[str, ModelEntry] = field(default_factory=dict)
    claims: dict[str, dict[ObjectKey, ModelEntry]] = field(default_factory=dict)  # of bare names

    @classmethod
    def of(cls, entries: Iterable[ModelEntry]) -> "Registry":
        """Return the registry of these models."""
        registry = cls()
        for entry in entries:
            registry.put(entry)
        return registry

    def put(self, entry: ModelEntry) -> None:
        """Add or replace a model."""
        old = self.entries.get(entry.ref)
        if old is not None:
            self.remove(old)
        self.entries[entry.ref] = entry
        if entry.owns_model_name:
            self.claims.setdefault(entry.model, {})[entry.ref] = entry
        self._settle(entry)

    def remove(self, entry: ModelEntry) -> None:
        """Remove a model; nothing happens when another entry has replaced it."""
        if self.entries.get(entry.ref) is not entry:
            return
        del self.entries[entry.ref]
        claims = self.claims.get(entry.model, {})
        claims.pop(entry.ref, None)
        if not claims:
            self.claims.pop(entry.model, None)
        self._settle(entry)

    def _settle(self, changed: ModelEntry) -> None:
        """Resolve the names of a changed model again: a bare name is its oldest claimant's."""
        for name in (changed.model, changed.full_name):
            # A full name comes first: a bare name that looks like one must not hide the model that it belongs to.
            owner = self.entries.get(_ref(name))
            claims = self.claims.get(name, {}).values()
            found = owner or min(claims, key=lambda entry: (entry.created_at, entry.full_name), default=None)
            if found is None:
                self.by_name.pop(name, None)
            else:
                self.by_name[name] = found

    def resolve(self, name: str) -> ModelEntry | None:
        """Return the model of this bare or full name, or None."""
        return self.by_name.get(name)

    def names(self) -> tuple[str, ...]:
        """Return every name that resolves, bare names first."""
        return tuple(sorted(self.by_name, key=lambda name: ("/" in name, name)))


def _ref(full_name: str) -> ObjectKey:
    namespace, _, name = full_name.partition("/")
    return namespace, name
