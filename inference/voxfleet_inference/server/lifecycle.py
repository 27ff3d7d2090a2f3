"""Where the server stands between its start and its end, as values.

Knows: phases, what leads from one to the next, that draining is a wish of its own that can be taken back, and how often
an engine may be started again.
Does not know: processes, signals, clocks (moments are arguments) or HTTP.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final


class Phase(enum.StrEnum):
    """How far the model has come."""

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
    "warming": "the model speaks its first sentence, to itself",
    "draining": "this server takes no new requests and finishes the open ones",
}


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The server's state at one moment."""

    phase: Phase = Phase.LOADING
    is_draining: bool = False
    reason: str = ""  # why this phase began, where that is not plain

    def entered(self, phase: Phase, reason: str = "") -> Lifecycle:
        """The state after a phase began; what the table does not allow changes nothing."""
        if phase not in NEXT_PHASES[self.phase]:
            return self
        return replace(self, phase=phase, reason=reason)

    def draining(self, *, enabled: bool) -> Lifecycle:
        """The state after a wish to drain, or its end."""
        return replace(self, is_draining=enabled)

    @property
    def state(self) -> str:
        """The word in /internal/load."""
        if self.is_draining and self.phase is not Phase.FAILED:
            return "draining"
        return self.phase.value

    @property
    def is_ready(self) -> bool:
        """Whether new requests are welcome."""
        return self.state == Phase.READY

    @property
    def message(self) -> str:
        """Why it is not ready, in words; empty when it is."""
        return self.reason or _MESSAGES.get(self.state, "")


def lately_restarted(restarted_at: Collection[float], now: float) -> tuple[float, ...]:
    """Those of the restarts that still count against an engine that dies at `now`."""
    return tuple(at for at in restarted_at if now - at < RESTART_WINDOW_SECONDS)
