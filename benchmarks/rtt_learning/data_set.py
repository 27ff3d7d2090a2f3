"""Reads WonderNetwork's pings between cities, as ConsenSys/wittgenstein keeps them. Pure but for its files.

Knows: their form, and which cities are left out: those that the two lists place elsewhere (a Toledo in Spain, pinged in
Ohio), by the distances that the pings' own list has.
The pings are WonderNetwork's, and not redistributed here.
"""

from __future__ import annotations

import csv
import math
import re
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from voxfleet_gateway.decisions.client_location import distance_km
from voxfleet_gateway.regions import Location

REPOSITORY = "https://github.com/ConsenSys/wittgenstein"
RESOURCES = "core/src/main/resources"
DEFAULT_FOLDER = Path.home() / ".cache" / "voxfleet" / "wittgenstein"
HOW_TO_GET = f"git clone --depth 1 {REPOSITORY} {DEFAULT_FOLDER}"
MAX_DISAGREEMENT_KM = 50.0


@dataclass(frozen=True, slots=True)
class Ping:
    """The pings from one city to another, in seconds."""

    smallest: float
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class City:
    """A city with its place."""

    name: str
    country: str
    location: Location


@dataclass(frozen=True, slots=True)
class DataSet:
    """All cities, and the pings between them."""

    cities: dict[str, City]
    pings: dict[tuple[str, str], Ping]
    misplaced: tuple[str, ...]

    def clients(self, regions: tuple[str, ...]) -> list[City]:
        """Return the cities that were pinged to every region and are none themselves."""
        return [
            city
            for name, city in sorted(self.cities.items())
            if name not in regions and all((name, region) in self.pings for region in regions)
        ]


def read(folder: Path) -> DataSet:
    """Read the clone's folder. Raises FileNotFoundError, which says how to get it."""
    resources = folder / RESOURCES
    if not (resources / "cities.csv").is_file():
        raise FileNotFoundError(f"{folder} has no {RESOURCES}/cities.csv; get it with: {HOW_TO_GET}")
    with (resources / "cities.csv").open(encoding="utf-8") as lines:
        places = {row["city"]: Location(float(row["Lat"]), float(row["Long"])) for row in csv.DictReader(lines)}
    names = sorted(places, key=len, reverse=True)  # "New York" before "York"
    pings: dict[tuple[str, str], Ping] = {}
    countries: dict[str, str] = {}
    disagreements: defaultdict[str, list[float]] = defaultdict(list)
    for path in sorted((resources / "Data").glob("*/*.csv")):
        source = next((name for name in names if _letters(name) == _letters(path.parent.name)), None)
        if source is None:
            continue
        with path.open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                title = row["City"].rpartition(",")[0]
                target = next((name for name in names if title.startswith(name + " ")), None)
                if target is None:
                    continue
                countries[target] = title[len(target) + 1 :]
                pings[source, target] = Ping(*(float(row[f"hidden.{column}"]) / 1000 for column in (3, 1, 5)))
                off_km = abs(distance_km(places[source], places[target]) - float(row["hidden"]))
                disagreements[source].append(off_km)
    misplaced = {name for name, off in disagreements.items() if statistics.median(off) > MAX_DISAGREEMENT_KM}
    kept = {
        name: City(name, countries[name], places[name])
        for name in places
        if name in countries and name not in misplaced
    }
    return DataSet(kept, pings, tuple(sorted(misplaced)))


def center(cities: list[City]) -> Location:
    """Return the middle of cities on the globe."""
    points = [_vector(city.location) for city in cities]
    x, y, z = (statistics.fmean(axis) for axis in zip(*points, strict=True))
    return Location(math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x)))


def _vector(place: Location) -> tuple[float, float, float]:
    latitude, longitude = math.radians(place.latitude), math.radians(place.longitude)
    return math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())
