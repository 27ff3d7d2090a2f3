"""An entry of the registry: one model with its regions, as the operator writes it into a ConfigMap. Pure.

Knows: the schema voxfleet.dev/registry/v1. Does not know: Kubernetes, other entries, which pods run.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from voxfleet_gateway.errors import RegistryEntryError

DATA_KEY = "model.json"

LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")  # BCP 47
MAX_LANGUAGES = 64

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


class WakeEntry(_Border):
    """The wake that is under way, as the operator observes its foremost pod."""

    started_at: AwareDatetime
    reason: str = ""
    scheduled_at: AwareDatetime | None = None
    sandbox_at: AwareDatetime | None = None
    container_at: AwareDatetime | None = None


class WakeSeconds(_Border):
    """How long the parts of the last wake took."""

    total: float | None = None
    node: float | None = None
    container: float | None = None
    image: float | None = None
    process: float | None = None
    weights: float | None = None
    warm_up: float | None = None


class CostEntry(_Border):
    """The region's row of the cost ledger in the present month, and the rates at which it grows after `as_of`."""

    as_of: AwareDatetime
    month: str  # of UTC, as 2026-11
    gpu_seconds: float = 0.0
    avoided_gpu_seconds: float = 0.0
    paid: float = 0.0
    saved: float = 0.0  # by sleeping and by spot machines
    gpus: float = 0.0
    avoided_gpus: float = 0.0
    paid_per_hour: float = 0.0
    saved_per_hour: float = 0.0
    is_priced: bool = True  # False: the resource gives no prices, and only GPU seconds are known


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
    asleep_since: AwareDatetime | None = None
    wake: WakeEntry | None = None
    last_wake: WakeSeconds | None = None
    cost: CostEntry | None = None

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
    languages: tuple[str, ...] = ()  # that the resource names; empty: those that its servers report
    aliases: tuple[str, ...] = ()  # further bare names, without those of an older resource
    voices: Mapping[str, str] = Field(default_factory=dict)  # built-in voices and ids, by the names that clients send
    idle_timeout_seconds: float = 1800
    regions: tuple[RegionEntry, ...] = ()

    @property
    def full_name(self) -> str:
        """Namespace and name, which no other resource can have."""
        return f"{self.namespace}/{self.name}"

    @property
    def bare_names(self) -> tuple[str, ...]:
        """The names without a namespace that the model claims: its own, if no older resource has it, and aliases."""
        own = (self.model,) if self.owns_model_name else ()
        return (*own, *self.aliases)

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
