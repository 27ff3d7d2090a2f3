"""GET /internal/region: what a gateway reports to other regions about the models of its region. Pure.

Knows: the form, its bounds, and what is refused of a peer that is mistaken or lies: every number is finite and bounded
here, so that everything after can rely on it. Fields that a newer gateway adds are ignored.
Does not know: sockets, certificates; how fresh a report is (decisions/remote_region.py), what follows from it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from voxfleet_gateway.decisions.fleet.pools import Pool
from voxfleet_gateway.decisions.fleet.wake_progress import PodStage
from voxfleet_gateway.decisions.pods.pod_state import Languages
from voxfleet_gateway.errors import PeerReportError
from voxfleet_gateway.regions import ObjectKey

REGION_PATH = "/internal/region"
MAX_REPORT_BYTES = 2**20  # a row has about 400 bytes
MAX_MODELS = 2000
MAX_POOLS = 8
MAX_COUNTRIES = 300  # ISO 3166-1 has 249
MAX_FAILURE_CHARACTERS = 300
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)  # ages are counted by this gateway's own clock; as Kerberos allows

Name = Annotated[str, Field(min_length=1, max_length=253)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Country = Annotated[str, Field(pattern=r"^([A-Z]{2})?$")]  # empty: unknown


class _Border(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PoolReport(_Border):
    """Servers of one pool."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)

    pool: Pool
    ready: Count = 0
    starting: Count = 0
    draining: Count = 0


class ModelReport(_Border):
    """One model in the reporting gateway's region; counts of pods are the region's, of requests this gateway's."""

    namespace: Name
    name: Name
    ready_pods: Count = 0
    rows: Count = 0  # of all servable pods
    running: Count = 0
    waiting: Count = 0  # sequences without a row
    free_requests: Count = 0  # further requests that the gateway may send to its pods now
    open_requests: Count = 0
    held_requests: Count = 0
    service_seconds: Seconds | None = None  # mean time of one request
    step_seconds_p50: Seconds | None = None
    first_audio_seconds_p95: Seconds | None = None
    measured_wake_seconds: Seconds | None = None
    wake_elapsed_seconds: Seconds = 0.0  # of the wake that is under way
    is_falling_asleep: bool = False
    failure: Annotated[str, Field(max_length=MAX_FAILURE_CHARACTERS)] | None = None
    # Of the gateway's own clients, whichever region served them; not of requests that peers have spilled.
    arrivals_per_second: Rate = 0.0
    arrivals_by_country: dict[Country, Rate] = Field(default={}, max_length=MAX_COUNTRIES)
    # What the fleet page and the list of models show, and no decision reads.
    pools: tuple[PoolReport, ...] = Field(default=(), max_length=MAX_POOLS)
    languages: Languages = ()  # that the region's servers reported last
    pod_requests: Count = 0  # requests open at the region's pods, of all gateways
    start_stage: PodStage | None = None  # of the foremost pod, while none is ready
    held_in_region: Count | None = None  # by all gateways that are not silent; None: as before there was this field

    @property
    def held_by_all(self) -> int:
        """Requests held by the region's gateways, as far as the reporting one knows them."""
        return self.held_requests if self.held_in_region is None else self.held_in_region

    @property
    def ref(self) -> ObjectKey:
        """Namespace and name of the resource."""
        return self.namespace, self.name


class RegionReport(_Border):
    """What one gateway of a region reports. A model without a row is asleep, and had no requests here."""

    region: Name
    gateway: Annotated[str, Field(max_length=253)] = ""
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1  # ready gateways of the region, each with its own counts
    # Of the gateways that it knows of: those whose requests held_in_region lacks; None: all others, as before that.
    silent_gateways: Annotated[int, Field(ge=0, le=1000)] | None = None
    at: AwareDatetime  # by the reporting gateway's clock
    models: tuple[ModelReport, ...] = Field(default=(), max_length=MAX_MODELS)

    @property
    def silent(self) -> int:
        """How many of the region's gateways have not said to the reporting one what they hold."""
        return self.replicas - 1 if self.silent_gateways is None else self.silent_gateways

    @cached_property
    def by_model(self) -> dict[ObjectKey, ModelReport]:
        """The rows by namespace and name."""
        return {row.ref: row for row in self.models}


def parse_region_report(body: bytes, peer: str, now: datetime) -> RegionReport:
    """Return the report of region `peer`, as the certificate names it. Raises PeerReportError with a reason."""
    if len(body) > MAX_REPORT_BYTES:
        raise PeerReportError("size", f"more than {MAX_REPORT_BYTES} bytes")
    try:
        report = RegionReport.model_validate(from_json(body, allow_inf_nan=False))  # bounded in depth
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PeerReportError("form", f"{where}: {first['msg']}, given {first['input']!r:.80}") from error
    except ValueError as error:
        raise PeerReportError("form", f"no JSON: {error!s:.200}") from error
    if report.region != peer:
        raise PeerReportError("region", f"region {report.region!r:.80} by the certificate of {peer}")
    if abs(report.at - now) > MAX_CLOCK_DIFFERENCE:
        raise PeerReportError("clock", f"made at {report.at.isoformat()}, and it is {now.isoformat()} here")
    if len(report.by_model) < len(report.models):
        raise PeerReportError("form", f"models: {_first_twice(report.models)} stands there twice")
    return report


def format_report(report: RegionReport) -> bytes:
    """Return the report as JSON, without what is a default anyway."""
    return report.model_dump_json(exclude_defaults=True).encode()


def new_report(region: str, gateway: str, replicas: int, rows: Iterable[ModelReport], now: datetime) -> RegionReport:
    """Return this gateway's report; rows beyond MAX_MODELS are left out, those with the fewest open requests first."""
    kept = sorted(rows, key=lambda row: (-row.open_requests - row.held_requests, row.ref))[:MAX_MODELS]
    return RegionReport(
        region=region,
        gateway=gateway,
        replicas=max(1, min(1000, replicas)),
        at=now.astimezone(UTC),
        models=tuple(kept),
    )


def _first_twice(rows: Iterable[ModelReport]) -> str:
    seen: set[ObjectKey] = set()
    for row in rows:
        if row.ref in seen:
            return "/".join(row.ref)[:200]
        seen.add(row.ref)
    return ""
