"""Limits open requests and the audio that they wait for, in all and per tenant.

Knows: the limits, the permits, and how much audio each permit still waits for. The first request is always admitted.
A tenant's share is enforced only while another tenant has a permit or was rejected lately: capacity is not reserved for
absent tenants, and a second tenant is rejected at most once before the first is held to its share.
Does not know: clocks (the time is an argument), HTTP, or how fast audio is made.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from voxfleet_inference.admission.callers import ANONYMOUS, Caller

_LEAST_REQUESTS: Final = 1  # of a tenant, however small its share
_REJECTION_SECONDS: Final = (
    90.0  # longer than the longest Retry-After, so that a rejected tenant still counts when it tries again
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits; a tenant's share is a part of both, from 0 to 1."""

    max_requests: int
    max_audio_seconds: float
    max_tenant_share: float = 1.0


class LimitScope(enum.Enum):
    """Whose limit is reached."""

    SERVER = "server"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Whose limit is reached, and the message for the client."""

    full: LimitScope
    message: str


@dataclass(frozen=True, slots=True)
class Demand:
    """Open requests, and the audio that they still wait for."""

    requests: int = 0
    audio_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Permit:
    """An admitted request; returned with `leave` at its end."""

    caller: Caller
    audio_seconds: float = 0.0  # still expected


class RequestLimiter:
    """Hands out permits to open requests."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open: set[Permit] = set()
        self._rejected: dict[str, float] = {}  # tenants that were rejected because the server was full, and when
        self._audio_seconds = 0.0  # the sum over all permits

    @property
    def demand(self) -> Demand:
        """The open requests and their audio."""
        return Demand(len(self._open), self._audio_seconds)

    def admit(self, caller: Caller, audio_seconds: float, now: float) -> Permit | Rejection:
        """Return a permit, or the rejection; `audio_seconds` is the estimate for the request."""
        self._rejected = {name: at for name, at in self._rejected.items() if now - at < _REJECTION_SECONDS}
        rejection = self._rejection(caller, audio_seconds)
        if rejection is not None:
            if rejection.full is LimitScope.SERVER:
                self._rejected[caller.tenant] = now
            return rejection
        self._rejected.pop(caller.tenant, None)
        permit = Permit(caller)
        self._open.add(permit)
        self.expect(permit, audio_seconds)
        return permit

    def expect(self, permit: Permit, seconds: float) -> None:
        """Add the estimate for more text to a permit."""
        self._change(permit, seconds)

    def spoken(self, permit: Permit, seconds: float) -> None:
        """Subtract audio that has been made; a permit whose estimate was too low stays at 0."""
        self._change(permit, -min(seconds, permit.audio_seconds))

    def leave(self, permit: Permit) -> None:
        """Return a permit; returning it again changes nothing."""
        if permit not in self._open:
            return
        self._change(permit, -permit.audio_seconds)
        self._open.remove(permit)
        if not self._open:
            self._audio_seconds = 0.0  # no rounding error is left over

    def _change(self, permit: Permit, seconds: float) -> None:
        if permit in self._open:
            permit.audio_seconds += seconds
            self._audio_seconds += seconds

    def _rejection(self, caller: Caller, audio_seconds: float) -> Rejection | None:
        exceeded = _exceeded(self.demand, self._bounds, audio_seconds)
        if exceeded:
            return Rejection(LimitScope.SERVER, f"the server is full: {exceeded}")
        # Callers without a name cannot be distinguished, so they have no share.
        if caller.tenant == ANONYMOUS.tenant or self._is_alone(caller.tenant):
            return None
        exceeded = _exceeded(self._demand_of(caller.tenant), _share(self._bounds), audio_seconds)
        return (
            Rejection(
                LimitScope.TENANT, f"your share of the server is used up while other tenants are active: {exceeded}"
            )
            if exceeded
            else None
        )

    def _is_alone(self, tenant: str) -> bool:
        others = (permit.caller.tenant != tenant for permit in self._open)
        return not any(others) and not self._rejected.keys() - {tenant}

    def _demand_of(self, tenant: str) -> Demand:
        permits = [permit for permit in self._open if permit.caller.tenant == tenant]
        return Demand(len(permits), sum(permit.audio_seconds for permit in permits))


def _share(bounds: Bounds) -> Bounds:
    share = bounds.max_tenant_share
    return Bounds(max(_LEAST_REQUESTS, int(bounds.max_requests * share)), bounds.max_audio_seconds * share)


def _exceeded(open_now: Demand, bounds: Bounds, audio_seconds: float) -> str:
    """Return a message that names the limit which one more request would exceed; empty when none."""
    if open_now.requests == 0:  # or a text over the limit of audio could never be spoken
        return ""
    if open_now.requests >= bounds.max_requests:
        return f"{open_now.requests} requests are open; the limit is {bounds.max_requests}"
    if open_now.audio_seconds + audio_seconds > bounds.max_audio_seconds:
        return (
            f"open requests wait for about {open_now.audio_seconds:.0f} s of audio and this one would add"
            f" {audio_seconds:.0f} s; the limit is {bounds.max_audio_seconds:g} s"
        )
    return ""
