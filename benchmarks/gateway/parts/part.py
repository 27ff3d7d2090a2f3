"""What every part of the benchmark takes and returns.

Knows: options, rows, goals; rounds that alternate between the ways. Does not know: what a part measures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from clients.http_client import Pool
from clients.load import failures
from clients.outcomes import Outcome, ratio
from sides.processes import Cores, Meter
from sides.ways import NGINX, Way, Ways

Row = dict[str, Any]  # the keys are the labels of the columns
Value = TypeVar("Value")
BUSY_SHARE = 0.85  # of the cores of clients and pods; beyond it their own queues are part of the figures


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    available: tuple[int, ...]  # cores
    rounds: int = 3
    is_quick: bool = False
    profile: Path | None = None

    def pick(self, full: Value, quick: Value) -> Value:
        """Return the size of a measurement."""
        return quick if self.is_quick else full


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise of the design, and what was measured; None where this machine cannot say."""

    text: str
    measured: str
    is_met: bool | None


@dataclass(slots=True)
class Result:
    """One table; or one for each value of the column `table_per`."""

    part: str
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table_per: str | None = None

    def to_json(self) -> Row:
        """Return all of it as JSON values."""
        return {"rows": self.rows, "goals": [asdict(goal) for goal in self.goals], "notes": self.notes}

    def note_load(self, rows: Sequence[Row], cores: Cores) -> None:
        """Note that clients and pods were the slower side, where they were."""
        if cores.are_shared:
            self.notes.append("one core: clients and pods run on the measured core, and every time mixes both")
        for row in rows:
            share = (row["client share"] + row["stub share"]) / len(cores.others)
            if share > BUSY_SHARE:
                name = ", ".join(row[label] for label in ("load", "way") if label in row)
                self.notes.append(f"{name}: clients and stub pods used {share:.2f} of their cores: no faster way shows")


@dataclass(slots=True)
class Measured:
    """What one way was sent, and what its processes used meanwhile."""

    way: Way
    meter: Meter
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def spent_seconds(self) -> float | None:
        """Processor time of the way's own processes; None without any."""
        return self.meter.spent_seconds.get(self.way.name)

    def processor_ms_per(self, count: float) -> float | None:
        """Return the way's processor time per request, or per second of a stream, in milliseconds."""
        return None if self.spent_seconds is None or count <= 0 else round(1000 * self.spent_seconds / count, 3)

    def shares(self) -> Row:
        """Return the columns of core shares and failures, which every table ends with."""
        return {
            "core share": self.meter.share(self.way.name) if self.way.pids else None,
            "client share": self.meter.share("client"),
            "stub share": self.meter.share("stub"),
            "failed": failures(self.outcomes) or 0,
        }


Load = Callable[[Pool], Awaitable[list[Outcome]]]


def alternate(ways: Ways, rounds: int, warm_up: Load, load: Load) -> dict[str, Measured]:
    """Warm every way up, then load them in turn, so many times; other load on the machine affects all alike."""

    async def run() -> dict[str, Measured]:
        measured = {way.name: Measured(way, Meter(ways.pids())) for way in ways.all}
        pools = {way.name: Pool(way.ports) for way in ways.all}
        for pool in pools.values():
            await warm_up(pool)
        for _ in range(rounds):
            for name, each in measured.items():
                with each.meter.measuring():
                    each.outcomes += await load(pools[name])
        for pool in pools.values():
            pool.close()
        return measured

    result: dict[str, Measured] = uvloop.run(run())
    return result


def processor_columns(
    measured: Mapping[str, Measured], unit: str, count: Callable[[Measured], float]
) -> dict[str, Row]:
    """Return each way's processor time per unit, and how many times that of nginx it is."""
    spent_ms = {name: each.processor_ms_per(count(each)) for name, each in measured.items()}
    nginx_ms = spent_ms.get(NGINX)
    return {
        name: {
            f"processor ms per {unit}": own_ms,
            "x nginx": ratio(own_ms, nginx_ms) if own_ms is not None and nginx_ms is not None else None,
        }
        for name, own_ms in spent_ms.items()
    }


def requests_of(measured: Measured) -> float:
    """Return how many requests the way was sent."""
    return len(measured.outcomes)
