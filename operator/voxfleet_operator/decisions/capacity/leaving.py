"""Decides which nodes are leaving, from one table of what autoscalers and clouds write on them.

Knows every taint and field that says so, and how soon the machine goes. Does not know pods, nor what follows for them
(shrinking.py).
"""

from dataclasses import dataclass, replace

from voxfleet_operator.decisions.observed import Cause, InterruptionState, Leaving, NodeState, PodState

# The watch of nodes may be behind the watch of pods, which shows a pod's node first.
UNKNOWN_NODE_SECONDS = 10.0
# After an outage of the API server a kubelet that could not report is taken for lost until it has reported again, every
# 10 s, and the node controller has looked, every 5 s.
REPORTS_AGAIN_SECONDS = 30.0
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Sign:
    """A taint that says that its node leaves.

    `is_urgent`: the machine may end before an eviction has given its pods their time. `lasting_seconds`: it counts only
    after it has lasted that long. `is_silence`: all that it says is that the kubelet's reports did not arrive.
    """

    key: str
    meaning: str
    effect: str = ""  # empty: any effect
    is_urgent: bool = False
    cause: Cause = Cause.RECLAIM
    lasting_seconds: float = 0.0
    is_silence: bool = False


@dataclass(frozen=True, slots=True)
class Outage:
    """The newest time in which this process read nothing from the API server; `ended_at` is None while it lasts.

    Kubelets may have been cut off too, and their nodes look lost for a moment when the server is back.
    """

    began_at: float
    ended_at: float | None = None

    @property
    def doubted_until(self) -> float:
        """Return until when nothing is concluded from missing reports."""
        return NEVER if self.ended_at is None else self.ended_at + REPORTS_AGAIN_SECONDS


# Of several signs of one node the first counts: urgent ones come first.
SIGNS = (
    Sign("aws-node-termination-handler/spot-itn", "EC2 reclaims the spot instance", is_urgent=True),
    Sign("cloud.google.com/impending-node-termination", "Google Cloud stops the machine", is_urgent=True),
    Sign("node.kubernetes.io/out-of-service", "the node was declared out of service", is_urgent=True),
    Sign("node.cloudprovider.kubernetes.io/shutdown", "the machine is shut down", is_urgent=True),
    Sign("remediator.kubernetes.azure.com/unschedulable", "Azure preempts or moves the machine", is_urgent=True),
    Sign("remediator.aks.microsoft.com/unschedulable", "Azure preempts or moves the machine", is_urgent=True),
    Sign("aws-node-termination-handler/asg-lifecycle-termination", "the Auto Scaling group ends the instance"),
    Sign("aws-node-termination-handler/scheduled-maintenance", "EC2 has scheduled maintenance"),
    Sign("aws-node-termination-handler/rebalance-recommendation", "EC2 is about to reclaim the spot instance"),
    # Of a reclaim too, which Karpenter records as an event first (`with_interruption`).
    Sign("karpenter.sh/disrupted", "Karpenter removes the node", cause=Cause.CHOICE),
    Sign("karpenter.sh/disruption", "Karpenter removes the node", cause=Cause.CHOICE),  # before Karpenter 1.0
    Sign("ToBeDeletedByClusterAutoscaler", "the cluster autoscaler removes the node", cause=Cause.CHOICE),
    Sign(
        "node.kubernetes.io/unreachable",
        "the node does not report",
        "NoExecute",
        cause=Cause.UNKNOWN,
        is_silence=True,
    ),
    # A kubelet that restarts reports not ready for some seconds.
    Sign(
        "node.kubernetes.io/not-ready",
        "the node is not ready",
        "NoExecute",
        cause=Cause.UNKNOWN,
        lasting_seconds=30.0,
        is_silence=True,
    ),
)
SILENCES = frozenset(sign.key for sign in SIGNS if sign.is_silence)
# Signs that look alike and say nothing about leaving: nodes that are unneeded for now, and permanent taints of pools.
NOT_LEAVING = frozenset(
    {
        "DeletionCandidateOfClusterAutoscaler",  # removed again as soon as a pod needs the node
        "kubernetes.azure.com/scalesetpriority",
        "cloud.google.com/gke-spot",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/disk-pressure",
    }
)
CORDONED = Sign("spec.unschedulable", "the node is cordoned", cause=Cause.UNKNOWN)
DELETED = Sign("metadata.deletionTimestamp", "the node is being deleted")
GONE = "its node does not exist any more"


@dataclass(frozen=True, slots=True)
class Taint:
    """One taint of a node."""

    key: str
    effect: str = ""


def leaving_sign(taints: tuple[Taint, ...], *, is_cordoned: bool, is_deleting: bool) -> Sign | None:
    """Return the sign that counts, or None for a node that stays."""
    for sign in SIGNS:
        if any(taint.key == sign.key and sign.effect in {"", taint.effect} for taint in taints):
            return sign
    if is_deleting:
        return DELETED
    return CORDONED if is_cordoned else None


def node_leaving(name: str, sign: Sign, seen_at: float) -> Leaving:
    """Return what a sign says about the pods of a node; `seen_at` is when it was first observed."""
    return Leaving(
        reason=f"node {name}: {sign.meaning} ({sign.key})",
        since=seen_at + sign.lasting_seconds,
        is_urgent=sign.is_urgent,
        cause=sign.cause,
    )


def with_interruption(pod: PodState, interruption: InterruptionState | None) -> PodState:
    """Return a pod whose node leaves by the provider's notice; one older than the pod is of an earlier node."""
    if pod.leaving is None or interruption is None or interruption.at < pod.created_at:
        return pod
    reason = f"{pod.leaving.reason}, by the provider's notice"
    return replace(pod, leaving=replace(pod.leaving, reason=reason, cause=Cause.RECLAIM))


def with_node(pod: PodState, node: NodeState | None, now: float, outage: Outage | None = None) -> PodState:
    """Return a pod with what its node says, if it was there before.

    A node that does not exist is gone once the watch must have shown it.
    """
    at = _leaves_at(pod, node, outage)
    if at is None or at > now:
        return pod
    if node is None or node.leaving is None:
        return replace(pod, leaving=Leaving(GONE, at, is_urgent=True))
    return replace(pod, leaving=replace(node.leaving, since=at))


def _leaves_at(pod: PodState, node: NodeState | None, outage: Outage | None) -> float | None:
    """Return when a pod begins to leave by its node alone; None: by nothing that is known now."""
    if not pod.node:
        return None
    if node is not None:
        is_leaving = node.leaving is not None and not _was_placed_later(pod, node.leaving)
        return _counts_at(node, outage) if is_leaving else None
    if pod.is_deleting:
        return None  # a node that was drained may be gone before the last of its pods
    gone_at = (pod.scheduled_at or pod.created_at) + UNKNOWN_NODE_SECONDS
    if outage is None:
        return gone_at
    return NEVER if outage.ended_at is None else max(gone_at, outage.ended_at + UNKNOWN_NODE_SECONDS)


def _counts_at(node: NodeState, outage: Outage | None) -> float | None:
    """Return when the node's sign counts: one that says silence, and came with or after an outage, must outlast it."""
    if node.leaving is None:
        return None
    since = node.leaving.since
    is_doubted = outage is not None and node.sign in SILENCES and since >= outage.began_at
    return max(since, outage.doubted_until) if outage is not None and is_doubted else since


def _was_placed_later(pod: PodState, leaving: Leaving) -> bool:
    """Whether the scheduler has chosen the node in spite of its sign.

    A replacement would be placed there too, and replaced in turn, without end. An eviction is still noticed.
    """
    return pod.scheduled_at is not None and pod.scheduled_at > leaving.since


def next_sign_at(pod: PodState, node: NodeState | None, now: float, outage: Outage | None = None) -> float | None:
    """Return when time alone makes a pod leave: a sign has lasted long enough, or its node was never observed."""
    due_at = _leaves_at(pod, node, outage)
    return due_at if due_at is not None and now < due_at < NEVER else None
