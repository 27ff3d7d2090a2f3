"""What decides about requests: the gateway's own decision, or a peer to compare it with.

Knows: nearest and round robin choose by nothing but the place; a chosen region that cannot serve is waited for. Does
not know how a decision is carried out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voxfleet_gateway.decisions.region_standing import RegionStanding
from voxfleet_gateway.decisions.routing import Decision, RouteRequest, decide

Policy = Callable[[Sequence[RegionStanding], RouteRequest], Decision]


def nearest(standings: Sequence[RegionStanding], request: RouteRequest) -> Decision:
    """Send every request to its nearest region."""
    allowed = [index for index, each in enumerate(standings) if _is_for(each, request)]
    if not allowed:
        return Decision("refuse", None, "no-region")
    return _chosen(standings[min(allowed, key=lambda index: request.rtt_seconds[index])])


@dataclass(slots=True)
class RoundRobin:
    """Sends requests to every region in turn."""

    turn: int = 0

    def __call__(self, standings: Sequence[RegionStanding], request: RouteRequest) -> Decision:
        """Choose the next region."""
        allowed = [each for each in standings if _is_for(each, request)]
        if not allowed:
            return Decision("refuse", None, "no-region")
        self.turn += 1
        return _chosen(allowed[self.turn % len(allowed)])


def make_policy(name: str) -> Policy:
    """Return a policy by its name."""
    policies: dict[str, Policy] = {"voxfleet": decide, "nearest": nearest, "round-robin": RoundRobin()}
    return policies[name]


def _is_for(standing: RegionStanding, request: RouteRequest) -> bool:
    is_allowed = not standing.countries or request.client_country in standing.countries
    return is_allowed and standing.excluded_by is None and standing.unable_by is None


def _chosen(standing: RegionStanding) -> Decision:
    view = standing.view
    wake = () if view.is_awake else (view.name,)
    if standing.is_available:
        return Decision("serve", view.name, "nearest", wake)
    return Decision("hold", view.name, "hold-load" if view.is_awake else "hold-wake", wake)
