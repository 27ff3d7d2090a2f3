"""Which leaves of the location database get another region for a while, so that its round trip is measured. Pure.

A whole leaf explores, so that it keeps one answer and one scope, and for one epoch, so that a region that turns out to
be slow is left soon. Every engine with the same plan explores the same leaves.
Knows: shares, epochs, and that the nearest region is what the others are compared with.
Does not know: clocks, databases, which regions may be tried (region_choice.py), how near they are (rtt/exploration.py).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from voxfleet_gateway.decisions.rtt.exploration import SHARE, explored, is_exploring

EPOCH_SECONDS = 600
# Larger leaves never explore: one of them could carry more clients than the other region has room for. Their area
# learns from smaller ones.
LARGEST = {4: 16, 6: 32}  # prefix length by IP version


class RegionOption(NamedTuple):
    """A region that a leaf could get; ordered from the nearest on."""

    rtt_seconds: float
    name: str
    may_be_tried: bool


@dataclass(frozen=True, slots=True)
class Exploration:
    """How much is explored, and in which epoch; share 0: nothing."""

    share: float = 0.0
    epoch: int = 0

    @classmethod
    def at(cls, now_seconds: float, share: float = SHARE) -> "Exploration":
        """Return what holds at a time of the clock that all engines share."""
        return cls(share, int(now_seconds // EPOCH_SECONDS)) if share > 0 else NO_EXPLORATION

    def is_exploring(self, network: str) -> bool:
        """Whether a leaf explores in this epoch, if there is a region to try."""
        return self.share > 0 and is_exploring(self._key(network), self.share)

    def region(self, network: str, options: Iterable[RegionOption]) -> str | None:
        """Return the region that a leaf tries; None for none."""
        nearest_first = sorted(options)
        # The nearest stays in the list, whatever it is: it is never what is tried.
        listed = [each for place, each in enumerate(nearest_first) if each.may_be_tried or place == 0]
        return explored([(each.name, each.rtt_seconds) for each in listed], self._key(network), self.share)

    def _key(self, network: str) -> str:
        return f"{network} {self.epoch}"


NO_EXPLORATION = Exploration()
