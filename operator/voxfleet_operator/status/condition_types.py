"""The types of conditions, and what the table of reasons says about each reason.

docs/conditions.md is made from these tables. Does not know any reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

READY, VERIFIED, RECONCILING, STALLED, DEGRADED = "Ready", "Verified", "Reconciling", "Stalled", "Degraded"
REGION_FAILED = "VoxFleetRegionFailed"


@dataclass(frozen=True, slots=True)
class ConditionType:
    """What a condition that is True means, and when a user looks at it."""

    meaning: str
    look_when: str


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reason means and what to do, on which conditions it is, and the alert whose runbook has more."""

    meaning: str
    remedy: str
    conditions: tuple[str, ...]
    alert: str = ""

    @property
    def message(self) -> str:
        """Meaning and remedy, for a condition without a message of its own."""
        return f"{self.meaning} {self.remedy}".strip()


CONDITIONS: Final[Mapping[str, ConditionType]] = {
    READY: ConditionType(
        "every object is applied, and every region is ready, asleep on purpose, or waking on demand within "
        "wakeTimeoutSeconds",
        "you wait for a rollout: Helm, Flux and Argo wait for it too",
    ),
    VERIFIED: ConditionType(
        "a region became ready with this generation of the spec",
        "you changed image, weights or resources while asleep",
    ),
    RECONCILING: ConditionType(
        "a region is waking or draining, or a write that failed is retried",
        "replicas change and you look for the reason",
    ),
    STALLED: ConditionType(
        "no retry helps: the spec must change, or, after a failed wake, a new request must come", "READY stays False"
    ),
    DEGRADED: ConditionType("it serves, with a problem that the message names", "before the problem becomes an outage"),
}
