"""What gateways report about open requests and servers.

Knows sums over gateways, and the newest reading of each pod. Does not know how old a reading may be.
"""

from dataclasses import dataclass

SECONDS_UNTIL_STALE = 15.0  # three polls of 5 s


@dataclass(frozen=True, slots=True)
class StartUpState:
    """The parts of one server's start, which follow one another, as it reports them; unchecked.

    `ready_at` is on the operator's clock: the server reports an age, so its own clock does not matter.
    """

    process_seconds: float
    loaded_seconds: float
    warm_seconds: float
    ready_at: float


@dataclass(frozen=True, slots=True)
class PodLoadState:
    """The newest reading of one pod, and the time that it describes; `state`: as the server names it."""

    address: str
    as_of: float
    open_requests: int = 0
    waiting_sequences: int = 0
    start_up: StartUpState | None = None
    state: str = ""
    last_request_finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class LoadState:
    """A region's load, summed over its gateways; `unknown_reason` is empty while every reading is fresh.

    `as_of`: the oldest time that any of the readings describes; None without readings. `pods`: every pod with a fresh
    reading, ready or not.
    """

    unknown_reason: str = ""
    as_of: float | None = None
    pods: tuple[PodLoadState, ...] = ()
    open_requests: int = 0
    held_requests: int = 0
    waiting_sequences: int = 0
    last_request_finished_at: float | None = None
    predicted_wake_seconds: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether every gateway and every ready pod has a fresh reading."""
        return not self.unknown_reason

    @property
    def demand(self) -> int:
        """Requests that need a server."""
        return self.open_requests + self.held_requests

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open, held or waiting, by fresh readings."""
        return self.is_known and self.demand == 0 and self.waiting_sequences == 0
