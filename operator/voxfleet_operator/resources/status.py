"""The status of a VoxTTSDeployment: what the operator reports.

Knows its fields. Does not know how their values are decided (decisions/) or built (status/).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from voxfleet_operator.resources.cost import Cost
from voxfleet_operator.resources.fields import Decimal, Instant, LongText, ResourceModel, ShortText, keyed_by

Count = Annotated[int, Field(ge=0)]


class Phase(StrEnum):
    """The state of a region."""

    ASLEEP = "Asleep"
    WAKING = "Waking"
    AWAKE = "Awake"
    DRAINING = "Draining"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


PHASES: Final[Mapping[Phase, str]] = {  # docs/conditions.md is made from it
    Phase.ASLEEP: "zero replicas; the next request renews the demand Lease and wakes it",
    Phase.WAKING: "replicas are above zero and none is ready yet; `message` says what the pod waits for",
    Phase.AWAKE: "at least one server is ready; without another request the region goes to sleep at `awakeUntil` (to "
    "within 5 minutes)",
    Phase.DRAINING: "going to zero; servers finish their open requests",
    Phase.FAILED: "zero replicas after a failed wake; a new request wakes it from `failure.retryAt` on (1 to 30 "
    "minutes later), or at once after a change of the spec",
    Phase.SUSPENDED: "zero replicas because `suspend` is true",
}


# metav1.Condition without its patterns: only the operator writes the status.
class Condition(ResourceModel):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=64)] = Field(description="Type of the condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="A reason of docs/conditions.md.")
    message: LongText = Field(default="", description="What happened, and the remedy.")
    observed_generation: Count | None = Field(
        default=None, description="Generation of the spec that the condition describes."
    )
    last_transition_time: Instant = Field(description="When `status` last changed.")


# Durations are decimal strings, as in all Kubernetes APIs; they add up to total_seconds.
class LastWake(ResourceModel):
    """The newest wake that succeeded, and its duration by part."""

    started_at: Instant = Field(description="When the region was requested.")
    ready_at: Instant | None = Field(default=None, description="When the first server was ready.")
    reason: ShortText = Field(default="", description="RequestHeld or MinReplicas.")
    total_seconds: Decimal | None = Field(default=None, description="From the request to ready.")
    node_seconds: Decimal | None = Field(default=None, description="Until the pod was scheduled.")
    container_seconds: Decimal | None = Field(default=None, description="Until the pod's sandbox was ready.")
    image_seconds: Decimal | None = Field(
        default=None, description="Until the image was pulled and the container started."
    )
    process_seconds: Decimal | None = Field(
        default=None, description="Until the server's packages were imported, as the server reports."
    )
    weights_seconds: Decimal | None = Field(default=None, description="Loading weights, as the server reports.")
    warm_up_seconds: Decimal | None = Field(default=None, description="Warming up, as the server reports.")
    readiness_seconds: Decimal | None = Field(
        default=None, description="Until Kubernetes reported a server as ready that gateways could use already."
    )
    other_seconds: Decimal | None = Field(
        default=None, description="The rest of totalSeconds, such as a container's first start that failed."
    )
    approximate: bool = Field(default=False, description="True when the operator did not observe the whole wake.")


class Failure(ResourceModel):
    """A failed wake, and when the next one may be tried."""

    reason: ShortText = Field(description="A reason of docs/conditions.md.")
    message: LongText = Field(default="", description="The error, as the pod or Kubernetes reports it.")
    count: Count = Field(default=1, description="Failed wakes in a row.")
    failed_at: Instant = Field(description="When it failed.")
    retry_at: Instant = Field(description="Earliest time of the next wake.")
    generation: Count = Field(
        default=0, description="Generation of the spec that failed; a newer one is tried at once."
    )
    templates: Annotated[dict[str, ShortText], Field(max_length=4)] | None = Field(
        default=None, description="Digest of the pod template that failed, by pool."
    )


class RegionStatus(ResourceModel):
    """The state of one region."""

    name: Annotated[str, Field(max_length=40)] = Field(description="Name of the region.")
    phase: Phase = Field(description="Asleep, Waking, Awake, Draining, Failed or Suspended.")
    message: LongText = Field(
        default="", description="What the region waits for, its error, or why its servers are on spot or on demand."
    )
    desired_replicas: Count = Field(default=0, description="Replicas that shall serve.")
    ready_replicas: Count = Field(default=0, description="Ready servers.")
    spot_replicas: Count = Field(
        default=0, description="Ready servers on spot machines; the other readyReplicas are on demand."
    )
    awake_until: Instant | None = Field(
        default=None, description="When the region goes to sleep without another request."
    )
    last_wake: LastWake | None = Field(default=None, description="The newest wake that succeeded.")
    failure: Failure | None = Field(
        default=None, description="The newest failed wake, while it delays the next or its template is not used."
    )
    proven_templates: Annotated[dict[str, ShortText], Field(max_length=4)] | None = Field(
        default=None, description="Digest of the newest pod template that a server was ready with, by pool."
    )


class VoxTTSDeploymentStatus(ResourceModel):
    """The observed state."""

    observed_generation: Count | None = Field(
        default=None, description="Generation of the spec that this status describes."
    )
    model: ShortText | None = Field(default=None, description="Value of `model` in clients' requests.")
    awake: ShortText | None = Field(default=None, description="Regions awake / regions.")
    replicas: Count | None = Field(default=None, description="Replicas in all regions.")
    message: LongText = Field(default="", description="Summary of the conditions, for `kubectl get -o wide`.")
    conditions: list[Condition] = Field(
        default_factory=list, max_length=16, description="Conditions.", json_schema_extra=keyed_by("type")
    )
    regions: list[RegionStatus] = Field(
        default_factory=list, max_length=32, description="State of each region.", json_schema_extra=keyed_by("name")
    )
    cost: Cost | None = Field(default=None, description="GPU time used and saved.")
    applied: Annotated[str, Field(max_length=8192)] | None = Field(
        default=None,
        description="Marks of the objects as they were applied: an operator that starts applies what changed since.",
    )
