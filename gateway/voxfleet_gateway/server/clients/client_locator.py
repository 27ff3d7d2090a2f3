"""Finds where a request's client is, once per request.

Knows: the parts of a request that say so: the connection's peer, or the address in its PROXY header; the header of
trusted proxies; the proxies' own location headers. Does not know: which of them counts (decisions/location/).
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import web

from voxfleet_gateway.decisions.client_location import COUNTRY_HEADER, LOCATION_HEADER, given_place
from voxfleet_gateway.decisions.location.client_address import Address, client_address, is_among, unmapped
from voxfleet_gateway.decisions.location.client_place import ClientPlace, place_by_headers, place_of
from voxfleet_gateway.location.database import LocationDatabase
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.location.tcp_info import round_trip_seconds
from voxfleet_gateway.settings import Settings


def _no_header(_request: web.Request) -> tuple[bool, Address | None]:
    return False, None


@dataclass(slots=True)
class ClientLocator:
    """Shared by all requests."""

    settings: Settings
    database: LocationDatabase
    rtt: RttStore
    # Whether the request's connection began with a PROXY header, and the address in it.
    proxied: Callable[[web.Request], tuple[bool, Address | None]] = _no_header

    def locate(self, request: web.Request) -> ClientPlace:
        """Return the client's place, by what is trusted alone; the round trip of its own connection is learned."""
        place = self._place(request)
        if place.is_direct:
            self.rtt.measured(place, round_trip_seconds(request.transport))
        return place

    def place_of(self, address: str) -> ClientPlace:
        """Return the place of an address alone, without a request's headers. Raises ValueError when it is none."""
        parsed = unmapped(ip_address(address))
        return place_of(parsed, self.database.lookup(parsed) if self.database.paths else None, is_direct=False)

    def _place(self, request: web.Request) -> ClientPlace:
        is_proxied, source = self.proxied(request)
        peer = source if is_proxied else _peer(request)
        trusted, header = self.settings.trusted_networks, self.settings.client_address_header
        is_trusted = peer is not None and is_among(peer, trusted)
        is_direct = not is_proxied and not is_trusted
        address = client_address(peer, request.headers.getall(header, []), header, trusted)
        if self.database.paths:
            facts = self.database.lookup(address) if address is not None else None
            return place_of(address, facts, is_direct=is_direct)
        given = given_place(*_values(request, LOCATION_HEADER, COUNTRY_HEADER)) if is_trusted else (None, None)
        return place_by_headers(address, *given, is_direct=is_direct)


def _values(request: web.Request, *names: str) -> list[list[str]]:
    return [request.headers.getall(name, []) for name in names]


def _peer(request: web.Request) -> Address | None:
    """Return the address of the connection's other end."""
    try:
        return unmapped(ip_address((request.remote or "").partition("%")[0]))
    except ValueError:
        return None
