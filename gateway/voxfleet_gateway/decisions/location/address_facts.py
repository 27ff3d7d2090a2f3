"""What a location database says about an address, read from a record of any known schema. Pure.

Knows: the nested schema of MaxMind and DB-IP (`country.iso_code`, `location.latitude`), the flat ones of ip-location-db
(`country_code`, `latitude`) and IPinfo (`country`, `lat`, `asn: "AS64496"`), and which values mean "unknown".
Does not know: files, trees, addresses.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

COUNTRY = re.compile(r"[A-Z]{2}")  # ISO 3166-1 alpha-2
NO_COUNTRY = frozenset({"XX", "ZZ"})  # what databases and CDNs write for an unknown country
AS_NUMBER = re.compile(r"(?:AS)?([0-9]{1,10})", re.IGNORECASE)
MAX_AS_NUMBER = 2**32 - 1

# Where each value may stand, the most specific first; a path of keys per place.
COUNTRIES = (("country", "iso_code"), ("country_code",), ("country",), ("registered_country", "iso_code"))
LATITUDES = (("location", "latitude"), ("latitude",), ("lat",))
LONGITUDES = (("location", "longitude"), ("longitude",), ("lng",), ("lon",))
AS_NUMBERS = (("autonomous_system_number",), ("asn",), ("as_number",), ("traits", "autonomous_system_number"))


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """What is known about the addresses of one network."""

    network: str  # the database's own leaf, in CIDR form; of several databases the smallest
    country: str = ""  # ISO 3166-1 alpha-2; empty: unknown
    asn: int | None = None  # the autonomous system that announces the network
    latitude: float | None = None  # in degrees; both coordinates are known, or neither is
    longitude: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known but the network."""
        return not self.country and self.asn is None and self.latitude is None


def parse_record(network: str, record: object) -> AddressFacts:
    """Return the facts of a database's record; what is missing or malformed is unknown, and nothing is raised."""
    if not isinstance(record, dict):
        return AddressFacts(network)
    latitude, longitude = _coordinates(record)
    return AddressFacts(network, _country(record), _as_number(record), latitude, longitude)


def merge(found: Iterable[AddressFacts]) -> AddressFacts | None:
    """Return the facts of one address from several databases: the first that knows a value; None for no facts."""
    known = [facts for facts in found if not facts.is_empty]
    if not known:
        return None
    place = next((facts for facts in known if facts.latitude is not None), known[0])
    return AddressFacts(
        max(known, key=_prefix_length).network,  # the leaves of one address contain one another
        # Of the database that has the coordinates, so that they lie in the country.
        place.country or next((facts.country for facts in known if facts.country), ""),
        next((facts.asn for facts in known if facts.asn is not None), None),
        place.latitude,
        place.longitude,
    )


def _prefix_length(facts: AddressFacts) -> int:
    return int(facts.network.rpartition("/")[2])


def _country(record: dict[Any, Any]) -> str:
    for path in COUNTRIES:
        value = _at(record, path)
        country = value.upper() if isinstance(value, str) else ""
        if COUNTRY.fullmatch(country) and country not in NO_COUNTRY:
            return country
    return ""


def _coordinates(record: dict[Any, Any]) -> tuple[float, float] | tuple[None, None]:
    latitude, longitude = _number(record, LATITUDES, 90), _number(record, LONGITUDES, 180)
    # Flat databases write 0, 0 for an unknown place; it lies in the sea.
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None, None
    return latitude, longitude


def _number(record: dict[Any, Any], paths: tuple[tuple[str, ...], ...], limit: float) -> float | None:
    for path in paths:
        value = _at(record, path)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            number = float(value)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(number) and abs(number) <= limit:
            return number
    return None


def _as_number(record: dict[Any, Any]) -> int | None:
    for path in AS_NUMBERS:
        value = _at(record, path)
        if isinstance(value, bool) or not isinstance(value, int | str):
            continue
        matched = AS_NUMBER.fullmatch(str(value)) if isinstance(value, str) or 0 < value <= MAX_AS_NUMBER else None
        if matched and 0 < int(matched[1]) <= MAX_AS_NUMBER:
            return int(matched[1])
    return None


def _at(record: dict[Any, Any], path: tuple[str, ...]) -> object:
    value: object = record
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value
