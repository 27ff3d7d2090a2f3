"""The parts of the spec that say how many servers run, and on which machines.

Knows the fields, bounds and defaults. Does not know how replicas are decided (voxfleet_operator.decisions).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from voxfleet_operator.resources.fields import ATOMIC, ResourceModel, rule, rules

MAX_REPLICAS = 1000  # far above any fleet; bounds the cost of rules and of a mistyped number
WEEK_SECONDS = 604_800
DAY_SECONDS = 86_400
# Five fields, names of months and days included: enough to reject mistakes, not a full parser.
CRON = r"^[0-9*,/-]+( [0-9A-Za-z*,/-]+){4}$"

# has(): in an override both fields may be absent.
MIN_NOT_ABOVE_MAX = rule(
    "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
    "minReplicas must not be greater than maxReplicas: lower minReplicas or raise maxReplicas",
    ".minReplicas",
)

CronText = Annotated[
    str,
    Field(
        max_length=64,
        json_schema_extra=rules(
            rule(f"self.matches('{CRON}')", "must be a cron expression of five fields, such as '0 8 * * 1-5'")
        ),
    ),
]
MinReplicas = Annotated[int, Field(ge=0, le=MAX_REPLICAS)]
MaxReplicas = Annotated[int, Field(ge=1, le=MAX_REPLICAS)]


class Schedule(ResourceModel):
    """A recurring time during which at least `min_replicas` run."""

    start: CronText = Field(description="Cron expression of the start, for example '0 8 * * 1-5'.")
    end: CronText = Field(description="Cron expression of the end, for example '0 18 * * 1-5'.")
    time_zone: str = Field(
        default="UTC",
        max_length=64,
        pattern="^[A-Za-z_]+([/+-][A-Za-z0-9_+-]+)*$",
        description="IANA time zone, for example Europe/Berlin.",
    )
    min_replicas: MinReplicas = Field(description="Least replicas between start and end.")


Schedules = Annotated[list[Schedule], Field(max_length=32, json_schema_extra=ATOMIC)]


class Autoscaling(
    ResourceModel,
    json_schema_extra=rules(
        MIN_NOT_ABOVE_MAX,
        rule(
            "self.schedules.all(s, s.minReplicas <= self.maxReplicas)",
            "schedules[].minReplicas must not be greater than maxReplicas",
            ".schedules",
        ),
    ),
):
    """How the number of servers of a region follows its load."""

    min_replicas: MinReplicas = Field(
        default=0, description="Least servers of one region. 0 lets the region go to sleep."
    )
    max_replicas: MaxReplicas = Field(default=4, description="Most servers of one region.")
    target_requests_per_replica: int = Field(
        default=16, ge=1, le=10_000, description="Open requests that one replica should carry."
    )
    scale_down_stabilization_seconds: int = Field(
        default=300, ge=0, le=3600, description="How long load must stay low before replicas are removed."
    )
    # At least 5 s: gateways renew every third of it, and clocks may differ by as much.
    idle_timeout_seconds: int = Field(
        default=1800, ge=5, le=WEEK_SECONDS, description="Time without requests after which a region goes to sleep."
    )
    wake_timeout_seconds: int = Field(
        default=900,
        ge=5,
        le=DAY_SECONDS,
        description="Time within which a woken region must have a ready server, or the wake has failed.",
    )
    max_unknown_seconds: int = Field(
        default=3600,
        ge=0,
        le=WEEK_SECONDS,
        description="How long after its idle timeout a region stays awake while its load is unknown.",
    )
    schedules: Schedules = Field(default_factory=list, description="Recurring times with more replicas.")


# No defaults here: an absent field must stay absent, or it would override the common value.
class AutoscalingOverride(ResourceModel, json_schema_extra=rules(MIN_NOT_ABOVE_MAX)):
    """One region's own values; absent fields come from spec.autoscaling."""

    min_replicas: MinReplicas | None = Field(default=None, description="Least servers of this region.")
    max_replicas: MaxReplicas | None = Field(default=None, description="Most servers of this region.")
    target_requests_per_replica: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Open requests that one replica should carry."
    )
    scale_down_stabilization_seconds: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        default=None, description="How long load must stay low before replicas are removed."
    )
    idle_timeout_seconds: Annotated[int, Field(ge=5, le=WEEK_SECONDS)] | None = Field(
        default=None, description="Time without requests after which this region goes to sleep."
    )
    wake_timeout_seconds: Annotated[int, Field(ge=5, le=DAY_SECONDS)] | None = Field(
        default=None, description="Time within which a woken region must have a ready server, or the wake has failed."
    )
    max_unknown_seconds: Annotated[int, Field(ge=0, le=WEEK_SECONDS)] | None = Field(
        default=None, description="How long after its idle timeout the region stays awake while its load is unknown."
    )
    schedules: Schedules | None = Field(default=None, description="Recurring times with more replicas in this region.")


class SpotUse(StrEnum):
    """Whether servers run on spot machines, which the provider may reclaim."""

    NEVER = "Never"
    PREFERRED = "Preferred"
    REQUIRED = "Required"


class Capacity(ResourceModel):
    """Spot and on-demand machines."""

    spot: SpotUse = Field(
        default=SpotUse.NEVER,
        description="Never: on demand alone. Preferred: spot, and on demand while no spot machine comes. "
        "Required: spot alone, beside onDemandBase; servers wait for it.",
    )
    on_demand_base: int = Field(
        default=0, ge=0, le=MAX_REPLICAS, description="Replicas of a region that run on demand before spot is used."
    )
    spot_fallback_seconds: int = Field(
        default=120,
        ge=0,
        le=3600,
        description="How long a spot pod may wait for a machine before an on-demand pod serves instead (Preferred) "
        "or a condition says so (Required). Longer while an autoscaler adds one, not at all when it says that it "
        "cannot.",
    )
    wake_fallback_seconds: int = Field(
        default=20, ge=0, le=3600, description="The same while no server of the region is ready."
    )
