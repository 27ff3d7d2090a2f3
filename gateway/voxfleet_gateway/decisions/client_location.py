"""Where a client is, as far as anyone trustworthy has said; and how far that is from a region.

Knows: the location header, trusted networks, great circles, the distance prior for round trips.
Does not know: address databases and measured round trips, which will refine the prior later.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

LOCATION_HEADER = "Voxfleet-Client-Location"

EARTH_RADIUS_KM = 6371.0
PRIOR_SECONDS = 0.0263  # a round trip to a place next door
PRIOR_SECONDS_PER_KM = 0.0171 / 1000
UNKNOWN_DISTANCE_KM = 5000.0  # a region or client without a location: neither near nor far


@dataclass(frozen=True, slots=True)
class Location:
    """A point on the globe, in degrees."""

    latitude: float
    longitude: float


def parse_location(text: str) -> Location | None:
    """Read "<lat>,<lon>"; None for anything else."""
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        return None
    inside = abs(latitude) <= 90 and abs(longitude) <= 180  # noqa: PLR2004  # False for NaN too
    return Location(latitude, longitude) if inside else None


def is_trusted(peer: str | None, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether the peer's address lies in one of the trusted networks."""
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


def client_location(
    header: str | None, peer: str | None, trusted: Sequence[IPv4Network | IPv6Network]
) -> Location | None:
    """The location a trusted proxy vouches for; None when there is none."""
    if header is None or not is_trusted(peer, trusted):
        return None
    return parse_location(header)


def distance_km(a: Location, b: Location) -> float:
    """Great-circle distance."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat = math.sin((lat_b - lat_a) / 2) ** 2
    half_lon = math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, half_lat + math.cos(lat_a) * math.cos(lat_b) * half_lon)))


def expected_rtt_seconds(client: Location | None, region: Location | None) -> float:
    """What a round trip between the two is expected to take."""
    km = UNKNOWN_DISTANCE_KM if client is None or region is None else distance_km(client, region)
    return PRIOR_SECONDS + PRIOR_SECONDS_PER_KM * km
