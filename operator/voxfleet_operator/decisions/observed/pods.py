"""Pods of the inference server and of Jobs, and what their nodes say about them.

Knows when a pod runs, leaves, and was reclaimed. Does not know the Deployments that it belongs to.
"""

from dataclasses import dataclass
from enum import StrEnum

from voxfleet_operator.decisions.actions import PodRef
from voxfleet_operator.decisions.capacity.scale_up import ScaleUpState
from voxfleet_operator.names import CONTAINER_SERVER, POOL_ON_DEMAND

# Reasons of the kubelet: a pull has failed; the next one waits for its back-off.
PULL_FAILED = "ErrImagePull"
IMAGE_PULL_REASONS = (PULL_FAILED, "ImagePullBackOff")
# Reasons of the condition DisruptionTarget: a pod of higher priority takes the place; a drain, whose cause the node
# says. All others say that the machine ends (TerminationByKubelet, DeletionByTaintManager, DeletionByPodGC).
PREEMPTED = "PreemptionByScheduler"
EVICTED = "EvictionByEvictionAPI"


class Cause(StrEnum):
    """Why a node leaves, as far as it says whether the next spot node would be taken soon too."""

    RECLAIM = "the provider takes the machine"
    CHOICE = "an autoscaler removes a machine that it could keep: consolidation, drift, expiry, scale-down"
    UNKNOWN = "a drain or a lost machine; an eviction counts as a reclaim"


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
    """One inference pod. Timestamps of milestones are the operator's times of receipt (cluster/parsing/pods.py).

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
