"""How requests ended under a fault, their counts, and whether the fault was passed: pure.

Knows: what counts as lost, and which faults may cut streams. Does not know: HTTP, clusters, clocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from voxfleet_demo.installation import REGIONS

SHORTEST, LONGEST = 0.75, 1.25  # of the expected audio; another batch size changes the last bits of a sum


class Ending(StrEnum):
    """How one request ended, as its client saw it."""

    ANSWERED = "answered"  # all of its audio, and the response's own end
    REFUSED = "refused"  # 429 or 503 with Retry-After, before the first byte
    LOST = "lost"  # accepted, and neither of these two
    CUT = "cut"  # broken after its first byte
    FALSE = "false"  # ended as complete with less audio than its text has, or more
    UNREACHED = "unreached"  # no connection: never accepted
    DENIED = "denied"  # 401 with a key that is revoked or was never issued, as it should
    ADMITTED = "admitted"  # taken with such a key
    GATEWAY_DIED = "gateway died"  # lost or unreached at a gateway that the fault itself takes away


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request."""

    gateway: str  # the region of the gateway that it was sent to
    ending: Ending
    wait_seconds: float  # until the first audio, or the refusal, or the failure
    detail: str = ""  # of one that failed


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault is called, and what it may do to requests."""

    name: str
    title: str
    takes_region: str | None = None  # its gateway and pods end without notice; None: a planned fault

    @property
    def is_planned(self) -> bool:
        """Whether no stream may be cut and no connection refused."""
        return self.takes_region is None


# UNREACHED stands in each: with one gateway left, a connection to it must be accepted.
FAILURES = (Ending.LOST, Ending.FALSE, Ending.UNREACHED, Ending.ADMITTED)
ENDED_WELL = frozenset({Ending.ANSWERED, Ending.REFUSED, Ending.DENIED})


@dataclass(frozen=True, slots=True)
class FaultResult:
    """The counts of one fault."""

    kind: FaultKind
    seconds: float
    counts: Counter[Ending]
    longest_wait_seconds: float  # of those that were answered or refused
    details: Counter[str] = field(default_factory=Counter)
    error: str = ""  # the cluster did not recover
    # Until a client of a gateway that is left learned that its request had failed; of a dead one it learns nothing.
    longest_failure_seconds: float = 0.0

    @property
    def requests(self) -> int:
        """The number of all requests."""
        return self.counts.total()

    @property
    def problems(self) -> list[str]:
        """Return what must not have happened."""
        endings = (*FAILURES, Ending.CUT) if self.kind.is_planned else FAILURES
        found = [f"{self.counts[ending]} {ending}" for ending in endings if self.counts[ending]]
        found += [] if self.counts[Ending.ANSWERED] else ["none answered"]
        return found + ([self.error] if self.error else [])

    def as_json(self) -> dict[str, Any]:
        """Return the result as --json writes it."""
        return {
            **asdict(self.kind),
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            **{ending.replace(" ", "_"): self.counts[ending] for ending in Ending},
            "longest_wait_seconds": round(self.longest_wait_seconds, 2),
            "longest_failure_seconds": round(self.longest_failure_seconds, 2),
            "details": dict(self.details),
            "problems": self.problems,
        }


def audio_ending(audio_seconds: float, expected_seconds: float) -> Ending:
    """Return ANSWERED for a response of about the expected length that ended as complete, else FALSE."""
    is_whole = SHORTEST * expected_seconds <= audio_seconds <= LONGEST * expected_seconds
    return Ending.ANSWERED if is_whole else Ending.FALSE


def count(kind: FaultKind, seconds: float, outcomes: Sequence[Outcome], error: str = "") -> FaultResult:
    """Return the counts of a fault; what failed at the gateway that it takes away is counted apart."""
    judged = [(_judge(kind, outcome), outcome) for outcome in outcomes]
    waits = [outcome.wait_seconds for ending, outcome in judged if ending in {Ending.ANSWERED, Ending.REFUSED}]
    failures = [
        outcome.wait_seconds
        for ending, outcome in judged
        if ending not in ENDED_WELL and outcome.gateway != kind.takes_region
    ]
    details = (f"{ending} at {outcome.gateway}: {outcome.detail}" for ending, outcome in judged if outcome.detail)
    endings = Counter(ending for ending, _ in judged)
    longest_failure = max(failures, default=0.0)
    return FaultResult(kind, seconds, endings, max(waits, default=0.0), Counter(details), error, longest_failure)


def other_gateway(region: str, regions: Iterable[str] = REGIONS) -> str:
    """Return the region whose gateway a client uses when its own does not accept a connection."""
    return next(other for other in regions if other != region)


def _judge(kind: FaultKind, outcome: Outcome) -> Ending:
    is_gone_with_it = outcome.gateway == kind.takes_region and outcome.ending in {Ending.LOST, Ending.UNREACHED}
    return Ending.GATEWAY_DIED if is_gone_with_it else outcome.ending
