"""A standing is kept for a moment, and never beyond a change that it shows."""

from typing import Any

import pytest
from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.snapshot import RegionState
from voxfleet_gateway.pods.kept_standings import VIEW_SECONDS, KeptStandings
from voxfleet_gateway.regions import ModelEntry, RegionEntry, RegionKey


class Region:
    """A region, and how often its Lease was read: once for each evaluation."""

    def __init__(self) -> None:
        entry = RegionEntry(name="eu")
        fields: dict[str, Any] = {"namespace": "d", "name": "n", "model": "m", "regions": (entry,)}
        model = ModelEntry(schema="voxfleet.dev/registry/v1", **fields)
        self.state = RegionState(RegionKey("d", "n", "eu"), model, entry)
        self.evaluated = 0

    def lease(self) -> Lease | None:
        self.evaluated += 1
        return None


@pytest.mark.parametrize(
    ("held", "free_places", "seconds", "evaluated"),
    [(0, 4, VIEW_SECONDS / 2, 1), (0, 4, VIEW_SECONDS, 2), (1, 4, 0.0, 2), (0, 3, 0.0, 2)],
    ids=["unchanged", "old", "a request is held", "a place is taken"],
)
def test_when_a_standing_is_evaluated_again(held: int, free_places: int, seconds: float, evaluated: int) -> None:
    kept, region = KeptStandings(), Region()
    kept.standing(region.state, region.lease, 0, 4, 100.0)
    found = kept.standing(region.state, region.lease, held, free_places, 100.0 + seconds)
    assert (found.view.held, found.view.free_places, region.evaluated) == (held, free_places, evaluated)


def test_a_dropped_standing_is_evaluated_again() -> None:
    kept, region = KeptStandings(), Region()
    kept.standing(region.state, region.lease, 0, 4, 100.0)
    kept.drop(region.state.key)
    kept.standing(region.state, region.lease, 0, 4, 100.0)
    assert region.evaluated == 2
