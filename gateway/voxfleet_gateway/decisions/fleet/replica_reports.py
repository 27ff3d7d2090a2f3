"""What the other gateways of this region hold, by their newest reports. Pure.

Knows: the form of a report and its bounds, and for how long one counts: a gateway without a newer one is silent, and
what it holds is unknown, which is not 0. Does not know: sockets, clocks (the time is an argument), which gateways there
are.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from voxfleet_gateway.decisions.fleet.recent_decisions import MOST_DECISIONS
from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.regions import RegionKey

FRESH_SECONDS = 5.0  # they are asked every second
MOST_ROWS = 2000

Name = Annotated[str, Field(min_length=1, max_length=253)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class _Border(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a newer gateway may say more


class HeldRow(_Border):
    """The requests that one gateway holds for one region."""

    namespace: Name
    name: Name
    region: Name
    held_requests: Count


class ReplicaReport(_Border):
    """What a gateway answers the others of its region; a region without a row has no held requests there."""

    gateway: Annotated[str, Field(max_length=253)] = ""
    number: Annotated[int, Field(ge=0, lt=2**63)] = (
        0  # of its newest decision: the next question asks for later ones; 0: none was asked for
    )
    held: tuple[HeldRow, ...] = Field(default=(), max_length=MOST_ROWS)
    decisions: tuple[Any, ...] = Field(default=(), max_length=MOST_DECISIONS)  # each is read by itself


def held_rows(keys: Iterable[RegionKey], held: Callable[[RegionKey], int]) -> tuple[HeldRow, ...]:
    """Return the rows of a report, the fullest regions first."""
    counts = sorted(((held(key), key) for key in keys if held(key)), reverse=True)
    return tuple(
        HeldRow(namespace=key.namespace, name=key.name, region=key.region, held_requests=count)
        for count, key in counts[:MOST_ROWS]
    )


@dataclass(frozen=True, slots=True)
class HeldByOthers:
    """What the other gateways hold by region; `silent`: how many of them have not said it lately."""

    counts: dict[RegionKey, int] = field(default_factory=dict)
    silent: int = 0
    others: int = 0

    def of(self, key: RegionKey) -> int:
        """Return the requests that they hold for a region."""
        return self.counts.get(key, 0)


NO_OTHERS = HeldByOthers()


@dataclass(slots=True)
class ReplicaReports:
    """The newest report of each gateway, with the time at which it was received."""

    received: dict[PodAddress, tuple[float, ReplicaReport]] = field(default_factory=dict)
    numbers: dict[PodAddress, int] = field(default_factory=dict)  # of the newest decisions

    def record(self, address: PodAddress, report: ReplicaReport, now_seconds: float) -> None:
        """Replace a gateway's report."""
        self.received[address] = now_seconds, report
        self.numbers[address] = report.number or self.number(address)

    def number(self, address: PodAddress) -> int:
        """Return the number of the newest decision that the gateway has reported."""
        return self.numbers.get(address, 0)

    def held(self, others: Collection[PodAddress], now_seconds: float) -> HeldByOthers:
        """Sum the fresh reports of these gateways; forget those of any other."""
        self.received = {address: each for address, each in self.received.items() if address in others}
        self.numbers = {address: number for address, number in self.numbers.items() if address in others}
        fresh = [report for at, report in self.received.values() if now_seconds - at <= FRESH_SECONDS]
        counts: dict[RegionKey, int] = {}
        for row in (row for report in fresh for row in report.held):
            key = RegionKey(row.namespace, row.name, row.region)
            counts[key] = counts.get(key, 0) + row.held_requests
        return HeldByOthers(counts, len(others) - len(fresh), len(others))
