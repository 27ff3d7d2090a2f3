"""How far a wake or a sleep is, and when it has ended: from a region's status and its Lease. Pure.

Knows: phases, what ends the wait for each command. Does not know: clusters, clocks, terminals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from voxfleet_cli.demand.lease import DemandLease, parse_time
from voxfleet_cli.fleet.words import wake_parts

NEVER_SLEEPS = "sleep-at has no effect"  # of the operator's message for minReplicas above 0, by a schedule too


class Outcome(StrEnum):
    """What became of the request."""

    REQUESTED = "requested"
    PENDING = "pending"
    AWAKE = "awake"
    ASLEEP = "asleep"
    FAILED = "failed"
    KEPT_AWAKE = "kept awake"
    SUSPENDED = "suspended"
    TIMED_OUT = "timed out"

    @property
    def is_success(self) -> bool:
        """Whether the region is as the user asked, or the user did not wait for it."""
        return self in {Outcome.REQUESTED, Outcome.AWAKE, Outcome.ASLEEP, Outcome.SUSPENDED}


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one region on its way, in words."""

    outcome: Outcome
    phase: str
    text: str


def region_status(resource: Mapping[str, Any], region: str) -> Mapping[str, Any]:
    """Return the status of one region; empty while it has none."""
    regions = (resource.get("status") or {}).get("regions") or []
    return next((each for each in regions if each["name"] == region), {})


def waking(status: Mapping[str, Any], asked_at: datetime) -> Progress:
    """Return how far a wake is that was asked for at a time."""
    phase, message = status.get("phase", ""), status.get("message", "")
    failure = status.get("failure") or {}
    if phase == "Awake" and status.get("readyReplicas", 0) > 0:
        return Progress(Outcome.AWAKE, phase, _woken(status, asked_at))
    failed_at = parse_time(failure.get("failedAt"))
    if phase == "Failed":
        is_new = failed_at is not None and failed_at >= asked_at
        retry = f"; tried again from {failure['retryAt']} on" if failure.get("retryAt") else ""
        text = f"{failure.get('reason') or 'Failed'}: {failure.get('message') or message}{retry}"
        return Progress(Outcome.FAILED if is_new else Outcome.PENDING, phase, text)
    return Progress(Outcome.PENDING, phase, message)


def _woken(status: Mapping[str, Any], asked_at: datetime) -> str:
    """Return the operator's own timing of the wake, if it is of this one."""
    wake = status.get("lastWake") or {}
    ready_at = parse_time(wake.get("readyAt"))
    is_of_this = ready_at is not None and ready_at >= asked_at.replace(microsecond=0)
    if not is_of_this or "totalSeconds" not in wake:
        return "it was awake already"
    return f"{float(wake['totalSeconds']):.1f} s by the operator's timing: {wake_parts(wake)}"


def falling_asleep(status: Mapping[str, Any], lease: DemandLease) -> Progress:
    """Return how far a region is that was asked to sleep."""
    phase, message = status.get("phase", ""), status.get("message", "")
    if phase in {"Asleep", "Suspended"}:
        return Progress(Outcome.ASLEEP, phase, "")
    if not lease.is_sleep_requested:
        when = f" at {lease.renewed_at:%H:%M:%S} UTC" if lease.renewed_at else ""
        return Progress(Outcome.KEPT_AWAKE, phase, f"a request came{when}, which voids the request for sleep")
    if NEVER_SLEEPS in message:
        return Progress(Outcome.KEPT_AWAKE, phase, message)
    return Progress(Outcome.PENDING, phase, message)
