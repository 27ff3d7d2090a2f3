"""A region: everything that a decision about it may depend on, beside the time.

Knows what follows from several parts together. Does not know what is decided from them (region_plan.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxfleet_operator.decisions.observed.load import LoadState
from voxfleet_operator.decisions.observed.pods import PodState
from voxfleet_operator.decisions.observed.weights import WeightsState
from voxfleet_operator.decisions.observed.workloads import ForeignScale, WorkloadState
from voxfleet_operator.resources import Autoscaling, Capacity, Failure, LastWake, Phase

SPOT_QUIET_SECONDS = 600.0  # without a reclaim, before replicas go back to spot
NODE_BOOT_SECONDS = 180.0  # from an autoscaler's promise to the node; clouds take 40 to 150 s with a GPU's driver


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A region's demand Lease.

    `renewed_at` is clamped to the operator's clock, `raw_renewed_at` is as written; `asleep_since` is the operator's
    mark that the region is about to go to zero. `sleep_at`: when a user asked for sleep, clamped as renewals are.
    `holder`: what renewed it last.
    """

    resource_version: str
    renewed_at: float | None = None
    asleep_since: float | None = None
    is_clock_ahead: bool = False
    raw_renewed_at: float | None = None
    sleep_at: float | None = None
    raw_sleep_at: float | None = None
    holder: str = ""

    def is_marked_before(self, instant: float | None) -> bool:
        """Whether the mark is older than an instant, such as the time that load readings describe."""
        return self.asleep_since is not None and instant is not None and self.asleep_since < instant

    @property
    def is_sleep_requested(self) -> bool:
        """Whether a user asked for sleep and no renewal came after that."""
        return self.sleep_at is not None and (self.renewed_at is None or self.renewed_at <= self.sleep_at)

    @property
    def is_marked_asleep(self) -> bool:
        """Whether the operator's mark is newer than every renewal."""
        return self.asleep_since is not None and (self.renewed_at is None or self.renewed_at <= self.asleep_since)


@dataclass(frozen=True, slots=True)
class LocalState:
    """What only this process has observed; a restart loses it without harm.

    unready_since: when the region last stopped having a ready pod (or was woken).
    lease_trusted_at: after a broken watch no region goes to sleep before this time.
    load_expected_at: when a pod was first observed ready, so that gateways should report load soon after.
    peak_replicas: most replicas that demand asked for within the stabilization window.
    spot_reclaimed_at: when the eviction of a spot pod was last observed, by this process or an earlier one.
    scaled: the newest scaling of each Deployment by another writer, and until when it is reported.
    """

    unready_since: float = 0.0
    lease_trusted_at: float = 0.0
    load_expected_at: float = 0.0
    peak_replicas: int = 0
    spot_reclaimed_at: float | None = None
    scaled: tuple[tuple[ForeignScale, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RegionState:
    """Everything that a decision about one region may depend on, beside the time.

    `autoscaling` is the region's effective one. `previous_phase` and `last_wake` come from the status, which may be
    cleared: they are reported, and time a wake. Everything else that is remembered is recorded on the Deployments.
    """

    name: str
    generation: int
    autoscaling: Autoscaling
    is_suspended: bool = False
    capacity: Capacity = field(default_factory=Capacity)
    spot_quiet_seconds: float = SPOT_QUIET_SECONDS
    node_boot_seconds: float = NODE_BOOT_SECONDS
    drain_seconds: float = 120.0
    workloads: tuple[WorkloadState, ...] = ()
    pods: tuple[PodState, ...] = ()
    changes_at: float | None = None  # when time alone changes this: a schedule begins or ends, a pod leaves
    lease: LeaseState | None = None
    # Unknown until the first reading: a region never sleeps on missing data.
    load: LoadState = field(default_factory=lambda: LoadState(unknown_reason="no gateway was asked yet"))
    local: LocalState = field(default_factory=LocalState)
    weights: WeightsState = field(default_factory=WeightsState)
    previous_phase: Phase | None = None
    last_wake: LastWake | None = None
    failure: Failure | None = None
    proven_templates: Mapping[str, str] = field(default_factory=dict)

    @property
    def replicas(self) -> int:
        """Replicas that the Deployments of all pools ask for now."""
        return sum(workload.replicas for workload in self.workloads)

    @property
    def planned_replicas(self) -> int:
        """Replicas that the region shall have; Deployments have more while on demand covers for spot."""
        recorded = (each.region_replicas for each in self.workloads if each.replicas > 0)
        return next((count for count in recorded if count is not None), self.replicas)

    @property
    def woken_at(self) -> float | None:
        """When the present wake began; every Deployment with replicas records it."""
        return min((workload.woken_at for workload in self.workloads if workload.woken_at is not None), default=None)

    @property
    def woken_reason(self) -> str:
        """Why the present wake began."""
        return next((workload.woken_reason for workload in self.workloads if workload.woken_reason), "")

    @property
    def pods_refused(self) -> str:
        """Why the API server refuses pods of a pool; empty when it accepts them."""
        return next((workload.pods_refused for workload in self.workloads if workload.pods_refused), "")

    @property
    def ready_pods(self) -> tuple[PodState, ...]:
        """Pods that may be sent requests."""
        return tuple(pod for pod in self.pods if pod.is_ready)

    @property
    def unfinished_pods(self) -> tuple[PodState, ...]:
        """Pods with processes: pods that are being deleted too, until their containers have ended.

        A ReplicaSet never deletes a pod that was evicted or whose node shut down, so finished ones may stay for days.
        """
        return tuple(pod for pod in self.pods if not pod.is_finished)

    @property
    def active_pods(self) -> tuple[PodState, ...]:
        """Pods that run or will run: neither being deleted nor finished."""
        return tuple(pod for pod in self.pods if pod.is_active)
