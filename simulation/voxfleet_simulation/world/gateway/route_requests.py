"""What the gateway's decision is asked for each request: equal for all requests from one country.

Knows clients, by country, and by which way round trips are counted. Does not know what is decided (policies.py).
"""

from dataclasses import dataclass, field

from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.regions import DEFAULT_RULES, GatewayRules, Location

from voxfleet_simulation.world.requests import Request


@dataclass(frozen=True, slots=True)
class Client:
    """What is equal for all clients of a country."""

    name: str
    location: Location
    rtt_seconds: tuple[float, ...]


@dataclass(slots=True)
class RouteRequests:
    """The requests for a decision of one region's gateway."""

    region: str
    clients: tuple[Client, ...]
    between_seconds: tuple[float, ...]  # from this gateway to each region
    index: int
    decides_by_path: bool  # by way of this gateway, as the product does, not from the client to each region
    rules: GatewayRules = DEFAULT_RULES
    made: dict[tuple[int, bool], RouteRequest] = field(default_factory=dict)  # by country, and whether it is admitted

    def set_rules(self, rules: GatewayRules) -> None:
        """Read the rules of the registry."""
        self.rules = rules
        self.made.clear()

    def of(self, request: Request) -> RouteRequest:
        """Return what is asked for one request."""
        is_admitted = request.held_since >= 0 or request.attempts > 0
        key = (request.country, is_admitted)
        made = self.made.get(key)
        if made is None:
            made = self.made[key] = self._make(self.clients[request.country], is_admitted=is_admitted)
        return made

    def _make(self, client: Client, *, is_admitted: bool) -> RouteRequest:
        trips = self._path_seconds(client) if self.decides_by_path else client.rtt_seconds
        return RouteRequest(
            self.region, client.location, client.name, trips, "measured", self.rules, is_admitted=is_admitted
        )

    def _path_seconds(self, client: Client) -> tuple[float, ...]:
        """Return the round trips from a client through this gateway to each region."""
        own = client.rtt_seconds[self.index]
        return tuple(round(own + between, 4) for between in self.between_seconds)
