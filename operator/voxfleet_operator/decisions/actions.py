"""What a plan asks for beside objects that are applied: a list of small values, carried out in order.

Knows what each action means. Does not know how it is carried out (cluster/action_executor.py). An action that fails is
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
    """Clear the mark of a region that stays awake or wakes."""


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Renew the demand Lease to the time at which the first pod of a wake was ready."""

    renew_to: float


Action = MarkAsleep | ConfirmAsleep | ClearMark | RenewLease
PRECONDITIONS = (ConfirmAsleep,)
