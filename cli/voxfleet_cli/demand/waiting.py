"""Waits until regions are as asked, and shows each change on standard error.

Knows: the clock, the terminal, how often a status is read. Does not know: when a wait has ended (progress.py).
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand.progress import Outcome, Progress, region_status
from voxfleet_cli.demand.regions import DemandRegion
from voxfleet_cli.errors import ClusterError
from voxfleet_cli.printing import say
from voxfleet_cli.resources import read_resources

POLL_SECONDS = 0.5

Judge = Callable[["Asked", Mapping[str, Any]], Progress]


@dataclass(frozen=True, slots=True)
class Asked:
    """A region whose Lease was written, and when."""

    region: DemandRegion
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one region; `seconds` from the request to the end, as this process measured them."""

    region: str
    outcome: Outcome
    seconds: float | None = None
    phase: str = ""
    text: str = ""

    def line(self, requested: str) -> str:
        """Return it as a line; `requested`: the words for a request that was not waited for."""
        state = requested if self.outcome is Outcome.REQUESTED else str(self.outcome)
        after = f" after {self.seconds:.1f} s" if self.seconds is not None else ""
        return f"region {self.region}: {state}{after}" + (f" ({self.text})" if self.text else "")

    def as_json(self) -> dict[str, Any]:
        """Return it as programs read it."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {
            "region": self.region,
            "outcome": self.outcome,
            "seconds": seconds,
            "phase": self.phase,
            "message": self.text,
        }


@dataclass(slots=True)
class Waiting:
    """The regions that are waited for; `shown`: phase and text that were printed last."""

    judge: Judge
    console: Console
    shown: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended: dict[str, Ended] = field(default_factory=dict)

    def look(self, each: Asked, status: Mapping[str, Any], seconds: float) -> None:
        """Judge one region by its newest status; print what changed."""
        name, progress = each.region.name, self.judge(each, status)
        if progress.outcome is not Outcome.PENDING:
            self.ended[name] = Ended(name, progress.outcome, seconds, progress.phase, progress.text)
        elif self.shown.get(name) != (progress.phase, progress.text):
            self.shown[name] = (progress.phase, progress.text)
            say(self.console, f"{seconds:6.1f} s  {name}  {progress.phase}  {progress.text}".rstrip())

    def result(self, each: Asked, seconds: float) -> Ended:
        """Return what became of a region; without an end the time was over."""
        phase, text = self.shown.get(each.region.name, ("", ""))
        late = Ended(each.region.name, Outcome.TIMED_OUT, seconds, phase, text)
        return self.ended.get(each.region.name, late)


def wait_for(
    cluster: Cluster, resource: Mapping[str, Any], asked: list[Asked], judge: Judge, timeout_seconds: float
) -> list[Ended]:
    """Return what became of every region: at its end, or when the time is over."""
    waiting, begin = Waiting(judge, Console(stderr=True)), time.monotonic()
    metadata, left, seconds = resource["metadata"], asked, 0.0
    with waiting.console.status("waiting") as spinner:
        while left and seconds <= timeout_seconds:
            seconds = time.monotonic() - begin
            # An API server that is away for a moment ends no wait: the region goes on meanwhile.
            with suppress(ClusterError):
                (found,) = read_resources(cluster, metadata["name"], metadata["namespace"], all_namespaces=False)
                for each in left:
                    waiting.look(each, region_status(found, each.region.name), seconds)
            left = [each for each in left if each.region.name not in waiting.ended]
            spinner.update(f"{seconds:.0f} s, waiting for {', '.join(each.region.name for each in left)}")
            time.sleep(POLL_SECONDS if left else 0)
    return [waiting.result(each, seconds) for each in asked]
