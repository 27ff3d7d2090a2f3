"""Standings of regions for routing, kept for a moment: many requests are decided between two changes of a region.

Knows: how long a standing is true, and what makes it untrue. Does not know: what changes a region (fleet.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.peers.remote_view import remote_region_view
from voxfleet_gateway.decisions.region_standing import RegionStanding, stand
from voxfleet_gateway.decisions.snapshot import RegionState, region_view
from voxfleet_gateway.regions import RegionKey

VIEW_SECONDS: Final = 0.02  # what passes with time alone, as a report's freshness, is counted in seconds


@dataclass(slots=True)
class KeptStandings:
    """The last standing of each region, with the time until which it is kept."""

    kept: dict[RegionKey, tuple[float, RegionStanding]] = field(default_factory=dict)

    def standing(
        self, region: RegionState, lease: Callable[[], Lease | None], held: int, free_places: int, now_seconds: float
    ) -> RegionStanding:
        """Return the kept standing, at most VIEW_SECONDS old, or evaluate the region's present state."""
        until_seconds, kept = self.kept.get(region.key, (0.0, None))
        is_stale = kept is None or now_seconds >= until_seconds
        if kept is None or is_stale or (kept.view.held, kept.view.free_places) != (held, free_places):
            if region.remote is not None:
                view = remote_region_view(region, region.remote, held, free_places, now_seconds)
            else:
                view = region_view(region, lease(), held, free_places, now_seconds)
            kept = stand(view)
            self.kept[region.key] = now_seconds + VIEW_SECONDS, kept
        return kept

    def drop(self, key: RegionKey) -> None:
        """Evaluate the region's present state for the next decision."""
        self.kept.pop(key, None)
