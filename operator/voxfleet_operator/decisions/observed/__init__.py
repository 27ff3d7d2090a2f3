"""The observed state of one region, as small frozen values: what a decision may depend on beside the time.

Knows which fields matter for decisions. Does not know where they come from (voxfleet_operator.cluster) nor what
follows from them (region_plan.py). Timestamps are seconds since 1970.
"""

from voxfleet_operator.decisions.observed.load import (
    SECONDS_UNTIL_STALE,
    LoadState,
    PodLoadState,
    StartUpState,
)
from voxfleet_operator.decisions.observed.pods import (
    EVICTED,
    IMAGE_PULL_REASONS,
    PREEMPTED,
    PULL_FAILED,
    Cause,
    InterruptionState,
    Leaving,
    NodeState,
    PodState,
)
from voxfleet_operator.decisions.observed.region import (
    NODE_BOOT_SECONDS,
    SPOT_QUIET_SECONDS,
    LeaseState,
    LocalState,
    RegionState,
)
from voxfleet_operator.decisions.observed.weights import (
    CLAIM_BOUND,
    ClaimState,
    FetchProgress,
    JobState,
    WeightsState,
)
from voxfleet_operator.decisions.observed.workloads import (
    HPA_MANAGER,
    AutoscalerRef,
    ForeignScale,
    WorkloadState,
)

__all__ = [
    "CLAIM_BOUND",
    "EVICTED",
    "HPA_MANAGER",
    "IMAGE_PULL_REASONS",
    "NODE_BOOT_SECONDS",
    "PREEMPTED",
    "PULL_FAILED",
    "SECONDS_UNTIL_STALE",
    "SPOT_QUIET_SECONDS",
    "AutoscalerRef",
    "Cause",
    "ClaimState",
    "FetchProgress",
    "ForeignScale",
    "InterruptionState",
    "JobState",
    "LeaseState",
    "Leaving",
    "LoadState",
    "LocalState",
    "NodeState",
    "PodLoadState",
    "PodState",
    "RegionState",
    "StartUpState",
    "WeightsState",
    "WorkloadState",
]
