"""How many requests, and how much audio, may be open at once, for everybody and for one tenant.

Knows: the bounds, who holds a place, and how much audio each place still waits for. A server that nobody uses takes any
request. Who is alone may fill the server; its share binds while anybody else has a place, or lately found none:
so nothing stays empty for nobody's sake, and who comes second is turned away once, not until the first is done.
Does not know: clocks (moments are arguments), HTTP, or how fast audio is made.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from voxfleet_inference.admission.callers import ANONYMOUS, Caller

_LEAST_REQUESTS: Final = 1  # of a tenant, however small its share
_REMEMBERED_SECONDS: Final = 90.0  # longer than anybody who is turned away is told to stay away


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is taken at most; a tenant's share is a part of both, from 0 to 1."""

    max_requests: int
    max_audio_seconds: float
    max_tenant_share: float = 1.0


class LimitScope(enum.Enum):
    """Whose room has run out."""

    SERVER = "server"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Rejection:
    """No room, and in which words."""

    full: LimitScope
    message: str


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests that are open, and the audio that they still wait for."""

    requests: int = 0
    audio_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Permit:
    """A request's place, from its admission to its end."""

    caller: Caller
    audio_seconds: float = 0.0  # still expected


class RequestLimiter:
    """All open requests."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open: set[Permit] = set()
        self._rejected: dict[str, float] = {}  # tenants that found the server full, and when
        self._audio_seconds = 0.0  # the sum over all places

    @property
    def demand(self) -> Demand:
        """What is open now."""
        return Demand(len(self._open), self._audio_seconds)

    def admit(self, caller: Caller, audio_seconds: float, now: float) -> Permit | Rejection:
        """A place, or why there is none; `audio_seconds` is what the request will probably take."""
        self._rejected = {name: at for name, at in self._rejected.items() if now - at < _REMEMBERED_SECONDS}
        refusal = self._refusal(caller, audio_seconds)
        if refusal is not None:
            if refusal.full is LimitScope.SERVER:
                self._rejected[caller.tenant] = now
            return refusal
        self._rejected.pop(caller.tenant, None)
        permit = Permit(caller)
        self._open.add(permit)
        self.expect(permit, audio_seconds)
        return permit

    def expect(self, permit: Permit, seconds: float) -> None:
        """More text has come: more audio will."""
        self._change(permit, seconds)

    def spoken(self, permit: Permit, seconds: float) -> None:
        """So much audio has been made; an estimate that was too short is no debt."""
        self._change(permit, -min(seconds, permit.audio_seconds))

    def leave(self, permit: Permit) -> None:
        """The request has ended; leaving again changes nothing."""
        if permit not in self._open:
            return
        self._change(permit, -permit.audio_seconds)
        self._open.remove(permit)
        if not self._open:
            self._audio_seconds = 0.0  # and no dust of rounding

    def _change(self, permit: Permit, seconds: float) -> None:
        if permit in self._open:
            permit.audio_seconds += seconds
            self._audio_seconds += seconds

    def _refusal(self, caller: Caller, audio_seconds: float) -> Rejection | None:
        everybody = Bounds(self._bounds.max_requests, self._bounds.max_audio_seconds)
        exceeded = _exceeded(self.demand, everybody, audio_seconds)
        if exceeded:
            return Rejection(LimitScope.SERVER, f"the server is full: {exceeded}")
        if caller.tenant == ANONYMOUS.tenant or self._is_alone(caller.tenant):
            return None
        theirs = self._demand_of(caller.tenant)
        exceeded = _exceeded(theirs, _share(self._bounds), audio_seconds)
        return (
            Rejection(LimitScope.TENANT, f"your share of the server is full, and others use it: {exceeded}")
            if exceeded
            else None
        )

    def _is_alone(self, tenant: str) -> bool:
        others = (permit.caller.tenant != tenant for permit in self._open)
        return not any(others) and not self._rejected.keys() - {tenant}

    def _demand_of(self, tenant: str) -> Demand:
        limiter = [permit for permit in self._open if permit.caller.tenant == tenant]
        return Demand(len(limiter), sum(permit.audio_seconds for permit in limiter))


def _share(bounds: Bounds) -> Bounds:
    share = bounds.max_tenant_share
    return Bounds(max(_LEAST_REQUESTS, int(bounds.max_requests * share)), bounds.max_audio_seconds * share)


def _exceeded(open_now: Demand, bounds: Bounds, audio_seconds: float) -> str:
    """Which bound one more request would exceed, in words; empty when there is room."""
    if open_now.requests == 0:
        return ""
    if open_now.requests >= bounds.max_requests:
        return f"{open_now.requests} requests are open, {bounds.max_requests} are taken"
    if open_now.audio_seconds + audio_seconds > bounds.max_audio_seconds:
        return (
            f"about {open_now.audio_seconds:.0f} s of audio are still to be spoken and this would be"
            f" {audio_seconds:.0f} s more, {bounds.max_audio_seconds:g} s are taken"
        )
    return ""
