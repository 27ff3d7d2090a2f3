"""What the operator sees of one region, as small frozen values.

Knows which facts matter for deciding. Does not know where they come from (voxfleet_operator.cluster) nor what
follows from them (region_plan.py).
"""

from dataclasses import dataclass, field

from voxfleet_operator.resources import Failure, LastWake, Phase

SECONDS_UNTIL_STALE = 15.0


@dataclass(frozen=True, slots=True)
class PodState:
    """One inference pod. Instants of milestones are the operator's own receipt times."""

    namespace: str
    name: str
    deployment: str
    region: str
    created_at: float
    address: str = ""
    ready_at: float | None = None
    is_leaving: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    exit_code: int | None = None
    termination_message: str = ""
    unschedulable_message: str = ""
    scheduled_at: float | None = None
    sandbox_at: float | None = None
    started_at: float | None = None
    is_watched_from_creation: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it may be sent requests."""
        return self.ready_at is not None and not self.is_leaving


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """A region's Deployment."""

    replicas: int
    woken_at: float | None = None
    woken_reason: str = ""
    is_updated: bool = False


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A region's demand Lease. `renewed_at` is already freed from clocks that run ahead."""

    resource_version: str
    renewed_at: float | None = None
    asleep_since: float | None = None
    is_clock_ahead: bool = False
    raw_renewed_at: float | None = None

    @property
    def is_marked_asleep(self) -> bool:
        """Whether the operator marked it and nobody renewed it since."""
        return self.asleep_since is not None and (self.renewed_at is None or self.renewed_at <= self.asleep_since)


@dataclass(frozen=True, slots=True)
class LoadState:
    """What gateways say about a region. `unknown_because` is empty when every answer is there and fresh."""

    unknown_reason: str = ""
    open_requests: int = 0
    held_requests: int = 0
    waiting_sequences: int = 0
    last_request_finished_at: float | None = None
    predicted_wake_seconds: float | None = None
    loaded_seconds: float | None = None
    warm_seconds: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether it may be relied upon."""
        return not self.unknown_reason

    @property
    def demand(self) -> int:
        """Requests that need a server."""
        return self.open_requests + self.held_requests

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open, held or waiting, for certain."""
        return self.is_known and self.demand == 0 and self.waiting_sequences == 0


@dataclass(frozen=True, slots=True)
class Policy:
    """A region's effective autoscaling, in the words of the spec."""

    min_replicas: int = 0
    max_replicas: int = 4
    target_requests_per_replica: int = 16
    idle_timeout_seconds: int = 1800
    wake_timeout_seconds: int = 900
    max_unknown_seconds: int = 3600
    scale_down_stabilization_seconds: int = 300


@dataclass(frozen=True, slots=True)
class LocalState:
    """What only this process knows; a restart may forget it without harm.

    unready_since: when the region last stopped having a ready pod (or was woken).
    lease_trusted_at: before this instant, after a broken watch, nobody sleeps.
    peak_replicas: most replicas that demand asked for within the stabilisation window.
    """

    unready_since: float = 0.0
    lease_trusted_at: float = 0.0
    load_expected_at: float = 0.0
    peak_replicas: int = 0


@dataclass(frozen=True, slots=True)
class RegionState:
    """Everything that a decision about one region may depend on, beside the time."""

    name: str
    generation: int
    policy: Policy
    is_suspended: bool = False
    blocked_reason: str = ""
    workload: WorkloadState | None = None
    pods: tuple[PodState, ...] = ()
    lease: LeaseState | None = None
    load: LoadState = field(default_factory=lambda: LoadState(unknown_reason="no gateway was asked yet"))
    local: LocalState = field(default_factory=LocalState)
    previous_phase: Phase | None = None
    last_wake: LastWake | None = None
    failure: Failure | None = None

    @property
    def replicas(self) -> int:
        """Replicas asked for now."""
        return self.workload.replicas if self.workload else 0

    @property
    def ready_pods(self) -> tuple[PodState, ...]:
        """Pods that serve."""
        return tuple(pod for pod in self.pods if pod.is_ready)

    @property
    def active_pods(self) -> tuple[PodState, ...]:
        """Pods that are not on their way out."""
        return tuple(pod for pod in self.pods if not pod.is_leaving)
