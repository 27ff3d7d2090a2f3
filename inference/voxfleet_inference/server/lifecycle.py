"""The server's state from its start to its exit, as values.

Knows: phases, which phase may follow which, that draining is independent of the phase and can be undone, and which
restarts of the engine count against its limit.
Does not know: processes, signals, clocks (the time is an argument) or HTTP.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final


class Phase(enum.StrEnum):
    """What the engine's model has reached."""

    LOADING = "loading"
    WARMING = "warming"
    READY = "ready"
    FAILED = "failed"


NEXT_PHASES: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.LOADING: frozenset({Phase.LOADING, Phase.WARMING, Phase.FAILED}),
    Phase.WARMING: frozenset({Phase.LOADING, Phase.READY, Phase.FAILED}),
    Phase.READY: frozenset({Phase.LOADING, Phase.FAILED}),
    Phase.FAILED: frozenset(),
}
RESTART_WINDOW_SECONDS: Final = 600.0
_MESSAGES: Final[Mapping[str, str]] = {
    "loading": "the model's weights are being loaded",
    "warming": "the model speaks its warm-up sentence",
    "draining": "this server admits no new requests and finishes the open ones",
}


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The server's state at one moment."""

    phase: Phase = Phase.LOADING
    is_draining: bool = False
    reason: str = ""  # why this phase began; empty when `_MESSAGES` says it

    def entered(self, phase: Phase, reason: str = "") -> Lifecycle:
        """Return the state in another phase, or this one when `NEXT_PHASES` does not allow that phase."""
        if phase not in NEXT_PHASES[self.phase]:
            return self
        return replace(self, phase=phase, reason=reason)

    def draining(self, *, enabled: bool) -> Lifecycle:
        """Return the state with draining switched on or off."""
        return replace(self, is_draining=enabled)

    @property
    def state(self) -> str:
        """`state` in /internal/load: the phase, or `draining`."""
        if self.is_draining and self.phase is not Phase.FAILED:
            return "draining"
        return self.phase.value

    @property
    def is_ready(self) -> bool:
        """Whether new requests are admitted."""
        return self.state == Phase.READY

    @property
    def message(self) -> str:
        """Why the server is not ready; empty when it is."""
        return self.reason or _MESSAGES.get(self.state, "")


def recent_restarts(restarted_at: Collection[float], now: float) -> tuple[float, ...]:
    """Return the times of restarts within the window that ends at `now`; older ones no longer count."""
    return tuple(at for at in restarted_at if now - at < RESTART_WINDOW_SECONDS)
