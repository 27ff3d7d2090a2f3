"""Where a client is, by a trusted proxy's header, and the expected round trips from there to regions. Pure.

Knows: the location headers, great circles, the round trip that a distance suggests.
Does not know: addresses (location/), measured round trips (rtt/).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from voxfleet_gateway.decisions.location.address_facts import COUNTRY
from voxfleet_gateway.regions import Location

LOCATION_HEADER = "Voxfleet-Client-Location"
COUNTRY_HEADER = "Voxfleet-Client-Country"

EARTH_RADIUS_KM = 6371.0
# Round trip without a measurement, fitted over 246 cities: 26.3 ms and 17.1 ms per 1,000 km.
PRIOR_SECONDS = 0.0263
PRIOR_SECONDS_PER_KM = 0.0171 / 1000
UNKNOWN_DISTANCE_KM = 5000.0  # client or region without a location: between the next region and another continent


RegionPlaces = tuple[tuple[str, Location | None], ...]  # names and locations


def parse_location(text: str) -> Location | None:
    """Read "<latitude>,<longitude>"; return None for anything else."""
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        return None
    inside = abs(latitude) <= 90 and abs(longitude) <= 180  # noqa: PLR2004  # False for NaN too
    return Location(latitude, longitude) if inside else None


def given_place(locations: Sequence[str], countries: Sequence[str]) -> tuple[Location | None, str | None]:
    """Return the location and country from the values of a trusted proxy's headers; None is unknown.

    A proxy that adds its header to the client's own sends two: then neither value is known to be the proxy's.
    """
    location = parse_location(locations[0]) if len(locations) == 1 else None
    country = countries[0] if len(countries) == 1 and COUNTRY.fullmatch(countries[0]) else None
    return location, country


def distance_km(a: Location, b: Location) -> float:
    """Return the great-circle distance (haversine formula)."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat = math.sin((lat_b - lat_a) / 2) ** 2
    half_lon = math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    # Rounding can lift the sum above 1 for opposite points; asin would raise.
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half_lat + math.cos(lat_a) * math.cos(lat_b) * half_lon)))


@lru_cache(maxsize=1024)  # clients come from the same cities
def expected_rtts_seconds(client: Location | None, regions: RegionPlaces, gateway_region: str) -> tuple[float, ...]:
    """Return the round trips to regions, in their order; a client without a location is assumed to be at its gateway.

    Rounded to 0.1 ms before they are decided on, so that the record holds what was decided on in few digits.
    """
    if client is not None:
        return tuple(round(expected_rtt_seconds(client, place), 4) for _, place in regions)
    gateway = next((place for name, place in regions if name == gateway_region), None)
    return tuple(
        PRIOR_SECONDS if name == gateway_region else round(expected_rtt_seconds(gateway, place), 4)
        for name, place in regions
    )


def expected_rtt_seconds(client: Location | None, region: Location | None) -> float:
    """Return the round trip that the distance suggests."""
    km = UNKNOWN_DISTANCE_KM if client is None or region is None else distance_km(client, region)
    return PRIOR_SECONDS + PRIOR_SECONDS_PER_KM * km
