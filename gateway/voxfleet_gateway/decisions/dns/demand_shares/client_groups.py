"""Groups of clients that are near one another: the unit of demand that regions are shared out by. Pure.

Knows: countries, and cells of the globe, since a country such as the US lies near more than one region.
Does not know: regions, round trips, how much a group asks for (demand.py).
"""

import math
from typing import NamedTuple

from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.regions import Location

CELL_LATITUDE, CELL_LONGITUDE = 10.0, 15.0  # degrees: about 1,100 km, well below the distance between regions

UNKNOWN_FACTS = AddressFacts("")


class ClientGroup(NamedTuple):
    """A country's part of one cell; a tuple, because it is looked up for every prefix."""

    country: str = ""  # empty: unknown
    row: int | None = None  # of the cell; None: no coordinates
    column: int | None = None

    def __str__(self) -> str:
        """Format for logs and metrics: no smaller than a cell."""
        place = "" if self.row is None or self.column is None else f"@{self.row},{self.column}"
        return f"{self.country or '??'}{place}"


def group_of(facts: AddressFacts) -> ClientGroup:
    """Return the group that a network's clients belong to."""
    if facts.latitude is None or facts.longitude is None:
        return ClientGroup(facts.country)
    return ClientGroup(
        facts.country, math.floor(facts.latitude / CELL_LATITUDE), math.floor(facts.longitude / CELL_LONGITUDE)
    )


def location_of(facts: AddressFacts) -> Location | None:
    """Return the place of a network's clients; None is unknown."""
    if facts.latitude is None or facts.longitude is None:
        return None
    return Location(facts.latitude, facts.longitude)
