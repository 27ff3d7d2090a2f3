"""The observed state of one region, as small frozen values: what a decision may depend on beside the time.

Knows which fields matter for decisions. Does not know where they come from (voxfleet_operator.cluster) nor what
follows from them (region_plan.py). Timestamps are seconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voxfleet_operator.decisions.actions import PodRef
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.decisions.claims import StorageClass
from voxfleet_operator.names import CONTAINER_SERVER, POOL_ON_DEMAND
from voxfleet_operator.resources import Autoscaling, Capacity, Failure, LastWake, Phase

SECONDS_UNTIL_STALE = 15.0  # three polls of 5 s
SPOT_QUIET_SECONDS = 600.0  # without a reclaim, before replicas go back to spot
NODE_BOOT_SECONDS = 180.0  # from an autoscaler's promise to the node; clouds take 40 to 150 s with a GPU's driver

# Reasons of the kubelet: a pull has failed; the next one waits for its back-off.
PULL_FAILED = "ErrImagePull"
IMAGE_PULL_REASONS = (PULL_FAILED, "ImagePullBackOff")


CLAIM_BOUND = "Bound"  # phase of a claim with a volume

HPA_MANAGER = "kube-controller-manager"  # writes the scale subresource for HorizontalPodAutoscalers, KEDA's among them


class Cause(StrEnum):
    """Why a node leaves, as far as it says whether the next spot node would be taken soon too."""

    RECLAIM = "the provider takes the machine"
    CHOICE = "an autoscaler removes a machine that it could keep: consolidation, drift, expiry, scale-down"
    UNKNOWN = "a drain or a lost machine; an eviction counts as a reclaim"


# Reasons of the condition DisruptionTarget: a pod of higher priority takes the place; a drain, whose cause the node
# says. All others say that the machine ends (TerminationByKubelet, DeletionByTaintManager, DeletionByPodGC).
PREEMPTED = "PreemptionByScheduler"
EVICTED = "EvictionByEvictionAPI"


@dataclass(frozen=True, slots=True)
class Leaving:
    """Why and since when the pods of a node are leaving.

    `is_urgent`: the machine may end before an eviction has given its pods their time.
    """

    reason: str
    since: float
    is_urgent: bool = False
    cause: Cause = Cause.RECLAIM


@dataclass(frozen=True, slots=True)
class NodeState:
    """What a node says about its pods; `sign` is the key of the taint or field behind `leaving`."""

    sign: str = ""
    leaving: Leaving | None = None


@dataclass(frozen=True, slots=True)
class InterruptionState:
    """The provider's notice about a node, which Karpenter records as an event before it taints the node."""

    at: float


@dataclass(frozen=True, slots=True)
class PodState:
    """One inference pod. Timestamps of milestones are the operator's times of receipt (cluster/pod_parsing.py).

    `container` is the one that holds the pod up, and the fields from `restarts` to `termination_message` describe it.
    """

    namespace: str
    name: str
    deployment: str
    region: str
    created_at: float
    pool: str = POOL_ON_DEMAND
    node: str = ""
    deletion_cost: int = 0
    disrupted_at: float | None = None  # when its eviction was announced (condition DisruptionTarget)
    disruption_reason: str = ""
    leaving: Leaving | None = None  # what its node says
    retiring_since: float | None = None  # when the operator marked it as leaving
    is_protected: bool = False  # whether it asks autoscalers to leave its node as it is
    address: str = ""
    ready_at: float | None = None
    is_deleting: bool = False
    is_finished: bool = False  # phase Failed or Succeeded: no process runs, though the object may stay for days
    container: str = CONTAINER_SERVER
    is_running: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    waiting_message: str = ""
    exit_code: int | None = None
    termination_reason: str = ""
    termination_message: str = ""
    # Failed pulls of an image in a row, as this process has observed them, and the time of the first one.
    pull_failures: int = 0
    pull_failed_at: float | None = None
    unschedulable_message: str = ""
    scale_up: ScaleUpState | None = None  # what an autoscaler says about its node
    scheduled_at: float | None = None
    sandbox_at: float | None = None
    started_at: float | None = None
    is_watched_from_creation: bool = False
    template: str = ""  # digest of the pod template that it was created from
    job: str = ""  # name of the Job that it works for; empty for servers

    @property
    def is_active(self) -> bool:
        """Whether it runs or will run, as in Kubernetes' controllers: neither being deleted nor finished."""
        return not self.is_deleting and not self.is_finished

    @property
    def is_leaving(self) -> bool:
        """Whether its node leaves or its eviction was announced: it serves on for a while, and is no capacity."""
        return self.leaving is not None or self.disrupted_at is not None

    @property
    def is_outgoing(self) -> bool:
        """Whether it leaves: by its node, or because fewer replicas are needed."""
        return self.is_leaving or self.retiring_since is not None

    @property
    def is_unplaced(self) -> bool:
        """Whether it has no node yet."""
        return self.scheduled_at is None and self.ready_at is None

    @property
    def ref(self) -> PodRef:
        """Its namespace and name."""
        return PodRef(self.namespace, self.name)

    @property
    def reclaimed_at(self) -> float | None:
        """Since when its machine is being taken by the provider, or for an unknown reason."""
        if self.leaving is not None and self.leaving.cause == Cause.RECLAIM:
            return self.leaving.since
        is_drained = self.disruption_reason in {EVICTED, ""}
        node_stays = self.leaving is None or self.leaving.cause == Cause.CHOICE
        is_kept = self.disruption_reason == PREEMPTED or (is_drained and node_stays)
        return None if is_kept else self.disrupted_at

    @property
    def is_ready(self) -> bool:
        """Whether it may be sent requests."""
        return self.ready_at is not None and self.is_active


@dataclass(frozen=True, slots=True)
class AutoscalerRef:
    """A HorizontalPodAutoscaler; `made_by`: kind and name of the object that controls it, empty without one."""

    name: str
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class ForeignScale:
    """A Deployment whose replicas another writer has set, and the writer's field manager.

    `autoscalers`: those that name the Deployment as their target, where they were looked up.
    """

    deployment: str
    replicas: int
    manager: str
    autoscalers: tuple[AutoscalerRef, ...] = ()

    @property
    def is_by_autoscaler(self) -> bool:
        """Whether a HorizontalPodAutoscaler did it."""
        return self.manager == HPA_MANAGER


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """The Deployment of one capacity pool of a region.

    `replicas`: as the operator applied them last, whatever another writer has set since.
    `template`: digest of its pod template; `generation`: of the resource, when the Deployment was applied last;
    `pods_refused`: why the API server refuses its pods (quota, admission), as its condition ReplicaFailure says.
    `proven_template`: digest of the newest one that a pod was ready with; `failure`: of the region's last wake.
    """

    replicas: int
    woken_at: float | None = None
    woken_reason: str = ""
    template: str = ""
    generation: int | None = None
    pods_refused: str = ""
    pool: str = POOL_ON_DEMAND
    weights: str = ""  # key of the fetched weights that its pods read; empty where they fetch or have them themselves
    region_replicas: int | None = None  # those that the region shall have
    scaled: ForeignScale | None = None
    pool_replicas: int | None = None  # those that the pool shall have beside pods that leave
    spot_reclaimed_at: float | None = None  # recorded on the spot pool's
    proven_template: str = ""
    failure: Failure | None = None

    @property
    def staying_replicas(self) -> int:
        """Replicas beside those of pods that leave."""
        return self.replicas if self.pool_replicas is None else self.pool_replicas


@dataclass(frozen=True, slots=True)
class LeaseState:
    """A region's demand Lease.

    `renewed_at` is clamped to the operator's clock, `raw_renewed_at` is as written; `asleep_since` is the operator's
    mark that the region is about to go to zero.
    """

    resource_version: str
    renewed_at: float | None = None
    asleep_since: float | None = None
    is_clock_ahead: bool = False
    raw_renewed_at: float | None = None

    def is_marked_before(self, instant: float | None) -> bool:
        """Whether the mark is older than an instant, such as the time that load readings describe."""
        return self.asleep_since is not None and instant is not None and self.asleep_since < instant

    @property
    def is_marked_asleep(self) -> bool:
        """Whether the operator's mark is newer than every renewal."""
        return self.asleep_since is not None and (self.renewed_at is None or self.renewed_at <= self.asleep_since)


@dataclass(frozen=True, slots=True)
class StartUpState:
    """The parts of one server's start, which follow one another, as it reports them; unchecked.

    `ready_at` is on the operator's clock: the server reports an age, so its own clock does not matter.
    """

    process_seconds: float
    loaded_seconds: float
    warm_seconds: float
    ready_at: float


@dataclass(frozen=True, slots=True)
class PodLoadState:
    """The newest reading of one pod, and the time that it describes; `state`: as the server names it."""

    address: str
    as_of: float
    open_requests: int = 0
    waiting_sequences: int = 0
    start_up: StartUpState | None = None
    state: str = ""
    last_request_finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class LoadState:
    """A region's load, summed over its gateways; `unknown_reason` is empty while every reading is fresh.

    `as_of`: the oldest time that any of the readings describes; None without readings. `pods`: every pod with a fresh
    reading, ready or not.
    """

    unknown_reason: str = ""
    as_of: float | None = None
    pods: tuple[PodLoadState, ...] = ()
    open_requests: int = 0
    held_requests: int = 0
    waiting_sequences: int = 0
    last_request_finished_at: float | None = None
    predicted_wake_seconds: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether every gateway and every ready pod has a fresh reading."""
        return not self.unknown_reason

    @property
    def demand(self) -> int:
        """Requests that need a server."""
        return self.open_requests + self.held_requests

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open, held or waiting, by fresh readings."""
        return self.is_known and self.demand == 0 and self.waiting_sequences == 0


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
class ClaimState:
    """A claim for weights that the operator has made; `storage_class` is empty while it has none."""

    name: str
    uid: str
    phase: str = ""
    created_at: float = 0.0
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class JobState:
    """A Job that fetches weights into a claim.

    `weights`: the key of what it fetches; `claim_uid`: of the claim, where the operator made it; `failed_at`: when it
    gave up.
    """

    name: str
    weights: str
    attempt: int = 1
    claim_uid: str = ""
    generation: int | None = None
    created_at: float = 0.0
    is_complete: bool = False
    failed_at: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Bytes that a fetching pod has, and shall have."""

    present_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class WeightsState:
    """The weights of a region, as far as they are fetched before a wake.

    `key` identifies what is fetched and where to; empty: nothing is to be fetched, or the claim for it does not exist
    yet (`waits_for_claim`). `claim_uids`: of every claim of the resource that exists. `storage_classes`: of the
    cluster, where they were looked up. `jobs`: every Job of the resource; `pods`: theirs. `refusal`: (reason, message)
    of weights that pods cannot get at all. `what`, `where`, `secret`: the fields of the spec and their values, for
    messages.
    """

    key: str = ""
    waits_for_claim: bool = False
    claim: ClaimState | None = None
    claim_uids: frozenset[str] = frozenset()
    storage_classes: tuple[StorageClass, ...] | None = None
    jobs: tuple[JobState, ...] = ()
    pods: tuple[PodState, ...] = ()
    refusal: tuple[str, str] | None = None
    progress: Mapping[str, FetchProgress] = field(default_factory=dict)  # by name of the pod
    what: str = ""
    where: str = ""
    secret: str = ""


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
    blocked_reason: str = ""
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
