"""What a plan asks for beside objects that are applied: a list of small values, carried out in order.

Knows what each action means. Does not know how it is carried out (cluster/writing/). An action that fails is
decided again from what is observed then, so no action may depend on the memory of another.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MarkAsleep:
    """Mark the demand Lease: the region is about to go to zero unless a gateway renews it."""


@dataclass(frozen=True, slots=True)
class ConfirmAsleep:
    """Check, directly before the Deployments go to zero, that the demand Lease is as it was observed.

    A precondition: while it does not hold the Deployments are left as they are.
    """


@dataclass(frozen=True, slots=True)
class ClearMark:
    """Clear the mark of a region that stays awake or wakes; and a void `sleep-at`, in the same write."""

    with_sleep_request: bool = False


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Renew the demand Lease to the time at which the first pod of a wake was ready."""

    renew_to: float


@dataclass(frozen=True, slots=True)
class PodRef:
    """Namespace and name of a pod."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class MarkRetiring:
    """Mark a pod that leaves: the time, and the cost by which a ReplicaSet deletes it before others."""

    pod: PodRef
    deletion_cost: int
    at: float


@dataclass(frozen=True, slots=True)
class UnmarkRetiring:
    """Take the mark off a pod that serves on."""

    pod: PodRef


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask a server to admit no new requests and to finish the open ones."""

    pod: PodRef
    address: str


@dataclass(frozen=True, slots=True)
class Undrain:
    """Ask a server to admit requests again."""

    pod: PodRef
    address: str


@dataclass(frozen=True, slots=True)
class Protect:
    """Ask autoscalers to leave a pod's node as it is."""

    pod: PodRef


@dataclass(frozen=True, slots=True)
class Unprotect:
    """Let autoscalers move a pod."""

    pod: PodRef


PodAction = MarkRetiring | UnmarkRetiring | Protect | Unprotect
DrainAction = Drain | Undrain
LeaseAction = MarkAsleep | ConfirmAsleep | ClearMark | RenewLease
Action = LeaseAction | PodAction | DrainAction
PRECONDITIONS = (ConfirmAsleep,)
