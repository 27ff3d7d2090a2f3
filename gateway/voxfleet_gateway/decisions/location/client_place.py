"""The one answer to where a request's client is, from what is trusted. Pure.

Knows: which source counts. With a location database the client's address alone decides, and no header of a place is
read; without one, a trusted proxy's headers do. Routing, the regions' allowed clients and learned round trips use this
one value.
Does not know: HTTP libraries, files.
"""

from dataclasses import dataclass

from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.location.client_address import Address
from voxfleet_gateway.decisions.location.country_centers import country_center
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork, client_network
from voxfleet_gateway.regions import Location

NOWHERE = ClientNetwork()


@dataclass(frozen=True, slots=True)
class ClientPlace:
    """Where the client of one request is; its address is not kept."""

    network: ClientNetwork = NOWHERE
    is_direct: bool = False  # the connection is the client's own, so that its round trip is the client's

    @property
    def location(self) -> Location | None:
        """The client's point on the globe: its own, or its country's."""
        return self.network.location or country_center(self.network.country)

    @property
    def country(self) -> str | None:
        """The client's country, if it is known."""
        return self.network.country or None


UNKNOWN = ClientPlace()


def place_of(address: Address | None, facts: AddressFacts | None, *, is_direct: bool) -> ClientPlace:
    """Return the place of an address, with what the databases say about it."""
    if address is None:
        return UNKNOWN
    # A private address is a node's that translates addresses, or a client's of the same network: no place on the globe.
    is_placed = facts is not None or address.is_global
    return ClientPlace(client_network(address, facts), is_direct=is_direct) if is_placed else UNKNOWN


def place_by_headers(
    address: Address | None, location: Location | None, country: str | None, *, is_direct: bool = False
) -> ClientPlace:
    """Return the place that a trusted proxy's headers name; the address only groups what is learned."""
    prefix = client_network(address, None).prefix if address is not None and address.is_global else ""
    return ClientPlace(ClientNetwork(prefix, None, country or "", location), is_direct=is_direct)
