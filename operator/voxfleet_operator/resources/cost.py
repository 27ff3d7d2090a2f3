"""The cost ledger in the status of a VoxTTSDeployment.

Knows its fields. Does not know how their values come about (decisions/cost/).
"""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from voxfleet_operator.resources.fields import ATOMIC, Instant, ResourceModel

Count = Annotated[int, Field(ge=0)]
# Sums of a fleet over a year have more digits than other decimals.
Amount = Annotated[str, Field(max_length=24, pattern="^-?[0-9]{1,15}([.][0-9]{1,6})?$")]
RegionText = Annotated[str, Field(max_length=40)]
MOST_MONTHS = 13 * 32


class CostRate(ResourceModel):
    """What a region holds since `asOf`: readers add the time since then at these rates."""

    region: RegionText = Field(description="Name of the region.")
    on_demand_gpus: Count = Field(default=0, description="GPUs in use on demand.")
    spot_gpus: Count = Field(default=0, description="GPUs in use on spot machines.")
    asleep: bool = Field(default=False, description="Whether the region sleeps, which avoids baselineGpus.")
    baseline_gpus: Count = Field(default=0, description="GPUs that constant replicas would hold.")
    on_demand_price: Amount | None = Field(default=None, description="Price of an on-demand GPU for one hour.")
    spot_price: Amount | None = Field(default=None, description="Price of a spot GPU for one hour.")


# A slotted dataclass, because a year of regions is many of them: 0.2 KB each instead of 1.4.
@dataclass(slots=True, config=ResourceModel.model_config)
class CostMonth:
    """The sums of one region in one month of UTC, until `asOf`; what is absent is 0."""

    month: Annotated[str, Field(max_length=7)] = Field(description="Year and month, such as 2026-11.")
    region: RegionText = Field(description="Name of the region; it may have left the spec.")
    on_demand_seconds: Amount | None = Field(default=None, description="GPU seconds used on demand.")
    spot_seconds: Amount | None = Field(default=None, description="GPU seconds used on spot machines.")
    unpriced_seconds: Amount | None = Field(default=None, description="GPU seconds of them that have no price.")
    on_demand_paid: Amount | None = Field(default=None, description="Money for GPUs on demand.")
    spot_paid: Amount | None = Field(default=None, description="Money for spot GPUs.")
    spot_saved: Amount | None = Field(default=None, description="What spot GPUs would have cost more on demand.")
    asleep_seconds: Amount | None = Field(default=None, description="Seconds in which the region slept.")
    asleep_cost: Amount | None = Field(
        default=None, description="Money that one on-demand GPU would have cost in asleepSeconds."
    )
    baseline_gpus: Count = Field(
        default=0, description="Most GPUs that the region was to have; constant replicas would hold them all month."
    )


class Cost(ResourceModel):
    """GPU time used, and avoided by sleeping, over the kept months: the present one and twelve before it."""

    as_of: Instant = Field(description="Time of the figures.")
    gpu_seconds: Amount = Field(description="GPU seconds used.")
    gpu_seconds_avoided: Amount = Field(
        description="GPU seconds that constant replicas at each month's peak would have used while regions slept."
    )
    saved_ratio: Amount = Field(description="Avoided share of used and avoided GPU seconds, 0 to 1.")
    rates: list[CostRate] = Field(
        default_factory=list, max_length=32, description="What each region holds since asOf.", json_schema_extra=ATOMIC
    )
    months: list[CostMonth] = Field(
        default_factory=list,
        max_length=MOST_MONTHS,
        description="Sums by month and region, oldest first.",
        json_schema_extra=ATOMIC,
    )
