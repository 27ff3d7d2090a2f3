"""The round trips that a decision uses: what was learned, on top of what distance suggests. Pure.

Knows: where a client without a place is assumed to be; how exact a round trip is recorded.
Does not know: how round trips are learned (rtt_model.py), what is decided on them.
"""

from voxfleet_gateway.decisions.client_location import RegionPlaces, expected_rtts_seconds
from voxfleet_gateway.decisions.location.client_place import ClientPlace
from voxfleet_gateway.decisions.routing import RttSource
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel

DIGITS = 4  # 0.1 ms, rounded before it is decided on, so that the record holds what was decided on in few digits


def round_trips(
    model: RttModel, client: ClientPlace, regions: RegionPlaces, gateway_region: str, now_seconds: float
) -> tuple[tuple[float, ...], RttSource]:
    """Return the round trips between a client and regions, in their order, and where they are from."""
    priors = expected_rtts_seconds(client.location, regions, gateway_region)
    names = (name for name, _ in regions)
    found = model.estimates(client.network, tuple(zip(names, priors, strict=True)), now_seconds)
    if any(each.is_measured for each in found):
        return tuple(round(each.seconds, DIGITS) for each in found), "measured"
    return priors, "assumed" if client.location is None else "distance"


def by_distance(client: ClientPlace, regions: RegionPlaces, gateway_region: str) -> tuple[tuple[float, ...], RttSource]:
    """Return the round trips as long as nothing is learned."""
    return round_trips(RttModel(), client, regions, gateway_region, 0.0)
