"""The status of a VoxTTSDeployment: what the operator reports.

Knows its fields. Does not know how they come about (voxfleet_operator.decisions and conditions.py).
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from voxfleet_operator.resources.fields import Decimal, Instant, LongText, ResourceModel, ShortText, keyed_by

Count = Annotated[int, Field(ge=0)]


class Phase(StrEnum):
    """What a region is doing."""

    ASLEEP = "Asleep"
    WAKING = "Waking"
    AWAKE = "Awake"
    DRAINING = "Draining"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


class Condition(ResourceModel):
    """As metav1.Condition."""

    type: Annotated[str, Field(max_length=64)] = Field(description="What is judged.")
    status: Literal["True", "False", "Unknown"] = Field(description="The judgement.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="One word from docs/conditions.md.")
    message: LongText = Field(default="", description="What happened and what to do.")
    observed_generation: Count | None = Field(default=None, description="Generation that was judged.")
    last_transition_time: Instant = Field(description="When the judgement last changed.")


class LastWake(ResourceModel):
    """The newest wake that succeeded, taken apart."""

    started_at: Instant = Field(description="When the region was asked for.")
    ready_at: Instant | None = Field(default=None, description="When the first server was ready.")
    reason: ShortText = Field(default="", description="Why it woke.")
    total_seconds: Decimal | None = Field(default=None, description="From demand to ready.")
    node_seconds: Decimal | None = Field(default=None, description="Until the pod had a node.")
    image_seconds: Decimal | None = Field(default=None, description="Until the image was there.")
    container_seconds: Decimal | None = Field(default=None, description="Until the container ran.")
    weights_seconds: Decimal | None = Field(default=None, description="Loading weights, as the server tells.")
    warm_up_seconds: Decimal | None = Field(default=None, description="Warming up, as the server tells.")
    other_seconds: Decimal | None = Field(default=None, description="The rest.")
    approximate: bool = Field(default=False, description="True when the operator did not see it from begin to end.")


class Failure(ResourceModel):
    """Why a region does not serve, and when it may try again."""

    reason: ShortText = Field(description="One word from docs/conditions.md.")
    message: LongText = Field(default="", description="What went wrong.")
    count: Count = Field(default=1, description="Failed wakes in a row.")
    failed_at: Instant = Field(description="When it failed.")
    retry_at: Instant = Field(description="Before then no new wake is tried.")
    generation: Count = Field(default=0, description="Generation that failed; a newer one is tried at once.")


class RegionStatus(ResourceModel):
    """One region."""

    name: Annotated[str, Field(max_length=40)] = Field(description="Name of the region.")
    phase: Phase = Field(description="Asleep, Waking, Awake, Draining, Failed or Suspended.")
    message: LongText = Field(default="", description="What it waits for, or what is wrong.")
    desired_replicas: Count = Field(default=0, description="Servers wanted now.")
    ready_replicas: Count = Field(default=0, description="Servers ready.")
    spot_replicas: Count = Field(default=0, description="Servers on spot machines.")
    awake_until: Instant | None = Field(default=None, description="Awake until then, without another request.")
    last_wake: LastWake | None = Field(default=None, description="The newest wake.")
    failure: Failure | None = Field(default=None, description="The newest failure, while it counts.")


class Cost(ResourceModel):
    """What was used, and what sleeping saved."""

    as_of: Instant = Field(description="When it was counted.")
    gpu_seconds: Decimal = Field(description="GPU seconds used.")
    gpu_seconds_avoided: Decimal = Field(description="GPU seconds that sleeping saved.")
    saved_ratio: Decimal = Field(description="Saved share, 0 to 1.")


class VoxTTSDeploymentStatus(ResourceModel):
    """What is."""

    observed_generation: Count | None = Field(default=None, description="Generation this status speaks of.")
    model: ShortText | None = Field(default=None, description="What clients send as model.")
    awake: ShortText | None = Field(default=None, description="Regions awake / regions.")
    replicas: Count | None = Field(default=None, description="Servers wanted in all regions.")
    message: LongText = Field(default="", description="The most important thing to know now.")
    conditions: list[Condition] = Field(
        default_factory=list, max_length=16, description="Judgements.", json_schema_extra=keyed_by("type")
    )
    regions: list[RegionStatus] = Field(
        default_factory=list, max_length=32, description="Region by region.", json_schema_extra=keyed_by("name")
    )
    cost: Cost | None = Field(default=None, description="What was used and saved.")
