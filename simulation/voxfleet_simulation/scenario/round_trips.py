"""Round trips of a scenario: between clients and regions, and between the gateways of two regions.

Knows the matrix of the scenario and the gateway's own distance prior, which fills what the matrix leaves out.
"""

from dataclasses import dataclass

from voxfleet_gateway.decisions.client_location import distance_km, expected_rtt_seconds
from voxfleet_gateway.regions import Location

from voxfleet_simulation.scenario.scenario import Scenario


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Seconds."""

    to_regions: tuple[tuple[float, ...], ...]  # by country and region
    between_regions: tuple[tuple[float, ...], ...]  # by region and region


def make_round_trips(scenario: Scenario) -> RoundTrips:
    """Return the round trips between all countries and regions; rounded, as the gateway rounds them."""
    places = [region_location(scenario, index) for index in range(len(scenario.spec.regions))]
    names = [region.name for region in scenario.spec.regions]
    to_regions = []
    for country in scenario.demand.countries:
        measured = scenario.network.round_trips.get(country.name, {})
        client = Location(country.location.latitude, country.location.longitude)
        row = (
            measured.get(name, expected_rtt_seconds(client, place)) for name, place in zip(names, places, strict=True)
        )
        to_regions.append(tuple(round(each, 4) for each in row))
    network = scenario.network
    between = tuple(
        tuple(
            0.0
            if one == other
            else network.between_gateways_seconds + network.seconds_per_thousand_km * distance_km(one, other) / 1000
            for other in places
        )
        for one in places
    )
    return RoundTrips(tuple(to_regions), between)


def region_location(scenario: Scenario, index: int) -> Location:
    """Return a region's place."""
    location = scenario.spec.regions[index].location
    if location is None:
        raise ValueError(f"spec.regions[{index}].location is missing")
    return Location(float(location.latitude), float(location.longitude))
