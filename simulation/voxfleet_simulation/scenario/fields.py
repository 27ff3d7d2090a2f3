"""The parts of a scenario beside the resource's spec: demand, service, network, machines, gateways, faults.

Knows fields, defaults and bounds. Does not know the spec (voxfleet_operator.resources has it), nor what a run does with
a value.
"""

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

HOURS = 24
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e6)]
Hours = Annotated[float, Field(ge=0, le=24 * 31)]


class ScenarioModel(BaseModel):
    """A part of a scenario: camelCase in YAML as in the resource; an unknown field is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("give a name of the IANA database, such as Asia/Shanghai")
    return name


class Place(ScenarioModel):
    """A point on the globe, in degrees."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)


class Country(ScenarioModel):
    """Clients of one country: where they are, their clock, and their part of the demand."""

    name: str = Field(pattern="^[A-Z]{2}$")
    location: Place
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    share: float = Field(default=1.0, gt=0)


class Burst(ScenarioModel):
    """A time with more demand than the curve says: `factor` times as much from startHour on."""

    start_hour: Hours
    minutes: float = Field(gt=0, le=24 * 60)
    factor: float = Field(gt=0, le=1000)
    countries: tuple[str, ...] = ()  # empty: all


class Trace(ScenarioModel):
    """A public arrival trace in place of the curve; `speed` 2 replays it twice as fast."""

    file: str
    speed: float = Field(default=1.0, gt=0)
    most_requests: int = Field(default=1_000_000, ge=1)


class Demand(ScenarioModel):
    """How many requests arrive, from where and when."""

    countries: tuple[Country, ...] = Field(min_length=1)
    requests: int = Field(default=0, ge=0, le=20_000_000)
    hourly: tuple[float, ...] = Field(default=(1.0,) * HOURS, min_length=HOURS, max_length=HOURS)  # by local hour
    bursts: tuple[Burst, ...] = ()
    trace: Trace | None = None

    @model_validator(mode="after")
    def _checked(self) -> "Demand":
        if (self.requests > 0) == (self.trace is not None):
            raise ValueError("give either requests or trace")
        if min(self.hourly) < 0 or sum(self.hourly) <= 0:
            raise ValueError(f"hourly: weights must be 0 or more, and one above 0, given {self.hourly}")
        names = [country.name for country in self.countries]
        unknown = {name for burst in self.bursts for name in burst.countries} - set(names)
        if unknown or len(names) != len(set(names)):
            raise ValueError(
                f"countries must be unique, and bursts name them; given {names}, unknown {sorted(unknown)}"
            )
        return self


class Service(ScenarioModel):
    """How long a request has a row of a server: its whole audio, at the speed of a usual batch."""

    mean_seconds: float = Field(default=2.0, gt=0, le=3600)
    distribution: Literal["exponential", "lognormal", "fixed"] = "lognormal"
    variation: float = Field(default=0.8, gt=0, le=10)  # standard deviation / mean, of lognormal


class Network(ScenarioModel):
    """Round trips between clients and regions; what the matrix leaves out follows from the distance."""

    round_trips: dict[str, dict[str, Seconds]] = Field(default_factory=dict)  # seconds, by country and region
    seconds_per_thousand_km: float = Field(default=0.0171, ge=0)  # between gateways of two regions
    between_gateways_seconds: Seconds = 0.002  # beside the distance


class Duration(ScenarioModel):
    """A lognormal duration, by its median and its 95th percentile."""

    median: float = Field(gt=0, le=36_000)
    p95: float = Field(gt=0, le=36_000)

    @model_validator(mode="after")
    def _ordered(self) -> "Duration":
        if self.p95 < self.median:
            raise ValueError(f"p95 must not be below median, given {self.p95} and {self.median}")
        return self


class Drought(ScenarioModel):
    """A time without spot machines in some regions: those that run are reclaimed within its first ten minutes."""

    start_hour: Hours
    hours: float = Field(gt=0)
    regions: tuple[str, ...] = ()  # empty: all


class Machines(ScenarioModel):
    """Nodes with one GPU each: how long they take, how many there are, how often the provider takes spot nodes back."""

    node: Duration = Duration(median=60, p95=110)  # from the pod to the node that runs it
    start: Duration = Duration(median=20, p95=35)  # image, weights, warm-up, on a node that runs
    keep_seconds: Seconds = 60.0  # a node without a pod is billed so long before the autoscaler removes it
    most_on_demand: int = Field(default=1000, ge=0)  # per region
    most_spot: int = Field(default=1000, ge=0)
    reclaims_per_node_hour: float = Field(default=0.0, ge=0, le=60)
    notice_seconds: Seconds = 120.0
    droughts: tuple[Drought, ...] = ()


class Outage(ScenarioModel):
    """A region that is lost: its gateway, servers and machines."""

    region: str
    start_hour: Hours
    minutes: float = Field(gt=0)


class Gateways(ScenarioModel):
    """How old the gateways' view of other regions is, and by which gateway a client enters.

    `nearest`: by geography. `balanced`: the cheapest assignment in round trips within the regions' capacity, by a
    linear program every `dnsSeconds`.
    """

    entry: Literal["nearest", "balanced"] = "nearest"
    dns_seconds: float = Field(default=30.0, gt=0)
    load_limit: float = Field(default=0.85, gt=0, le=1)  # part of a region's rows that `balanced` plans with
    poll_seconds: float = Field(default=1.0, gt=0)  # own pods
    peer_seconds: float = Field(default=2.0, gt=0)  # other regions
    hold_seconds: Seconds = 600.0  # clients' patience; bounded by the spec's holdSeconds


class Goals(ScenarioModel):
    """What the scenario promises; a run that misses one exits with 1. Ratios, absent: no goal."""

    oracle_delay_ratio: float | None = Field(default=None, gt=0)  # mean start delay / the oracle's
    gpu_hours_saved: Share | None = None  # against constant replicas at the peak
    money_saved: Share | None = None
    p95_ratio: float | None = Field(default=None, gt=0)  # outside wakes, against constant replicas at the peak
    lost: int | None = Field(default=None, ge=0)


class Sweeps(ScenarioModel):
    """Values that are tried beside the scenario's own; empty: none."""

    idle_timeout_seconds: tuple[int, ...] = ()
    price_weight: tuple[float, ...] = ()
    waiting_price_per_hour: float = Field(default=10.0, ge=0)  # what an hour of clients' waiting is worth


class Period(ScenarioModel):
    """When the run begins and how long it is."""

    start: datetime = datetime.fromisoformat("2026-11-23T00:00:00+00:00")
    hours: float = Field(default=24.0, gt=0, le=24 * 31)
