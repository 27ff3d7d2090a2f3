"""An hour of requests whose regions are chosen by the gateway's own estimates, and what each choice costs.

Knows: the estimates, their learning and exploration are the gateway's modules, not copies. A request measures the round
trip to the region that was chosen for it, and to no other one.
"""

from __future__ import annotations

import random
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from data_set import City, DataSet, center
from voxfleet_gateway.decisions.client_location import expected_rtt_seconds
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.exploration import SHARE, explored
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.regions import Location

ASNS_PER_COUNTRY = 3  # the pings know no networks: these split a country's samples, and predict nothing

PLACES = ("city", "city, no areas", "country")

Choice = Callable[[City], str]


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many requests come, from how many networks."""

    requests_per_second: float = 5.0
    prefixes_per_city: int = 20
    seconds: float = 3600.0
    access_seconds: float = 0.0  # median of what each network adds to the round trip to every region
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Network:
    """A client network, where it is and what its access adds."""

    city: City
    network: ClientNetwork
    access_seconds: float


@dataclass(frozen=True, slots=True)
class Regret:
    """Round trips of what was chosen, divided by those of the best."""

    before: float
    during: float
    after: float
    wrong_share: float  # of the networks, after the hour


class Simulation:
    """One data set, one set of regions."""

    def __init__(self, data: DataSet, regions: tuple[str, ...], traffic: Traffic, place: str) -> None:
        self.data, self.regions, self.traffic = data, regions, traffic
        self.random = random.Random(traffic.seed)  # noqa: S311  # a simulation
        self.cities = data.clients(regions)
        self.places = self._places(knows_cities=place != "country")
        self.priors = {
            city.name: tuple(
                (region, expected_rtt_seconds(self.places[city.name], data.cities[region].location))
                for region in regions
            )
            for city in self.cities
        }
        self.networks = [
            self._network(city, index, uses_areas=place == "city")
            for city in self.cities
            for index in range(traffic.prefixes_per_city)
        ]
        self.model = RttModel()

    def run(self, share: float = SHARE) -> Regret:
        """Learn for the hour."""
        before, _ = self.regret_of_estimates(0.0)
        chosen_seconds = best_seconds = 0.0
        count = int(self.traffic.requests_per_second * self.traffic.seconds)
        for index in range(count):
            client = self.random.choice(self.networks)
            now_seconds = index / self.traffic.requests_per_second
            regions = self.estimates(client, now_seconds)
            region = explored(regions, str(index), share) or _best(regions)
            chosen_seconds += self.true_seconds(client, region)
            best_seconds += min(self.true_seconds(client, each) for each in self.regions)
            self.model.record(
                client.network,
                region,
                self.sample(client, region),
                prior_seconds=dict(self.priors[client.city.name])[region],
                now_seconds=now_seconds,
            )
        after, wrong_share = self.regret_of_estimates(self.traffic.seconds)
        return Regret(before, chosen_seconds / best_seconds, after, wrong_share)

    def estimates(self, client: Network, now_seconds: float) -> tuple[tuple[str, float], ...]:
        """Return the regions with their estimated round trips."""
        found = self.model.estimates(client.network, self.priors[client.city.name], now_seconds)
        return tuple((region, each.seconds) for region, each in zip(self.regions, found, strict=True))

    def regret_of_estimates(self, now_seconds: float) -> tuple[float, float]:
        """Return the regret over all networks, and for which share of them another region is best."""
        chosen = [_best(self.estimates(client, now_seconds)) for client in self.networks]
        return self._regret([*zip(self.networks, chosen, strict=True)])

    def regret_of_cities(self, choice: Choice) -> tuple[float, float]:
        """Return the regret of a fixed choice per city."""
        return self._regret([(client, choice(client.city)) for client in self.networks])

    def nearest(self, city: City) -> str:
        """Return the region at the smallest distance, from where the database places the city."""
        return _best(self.priors[city.name])

    def by_country(self, city: City) -> str:
        """Return the region with the smallest median round trip from the country's other cities."""
        others = [each for each in self.cities if each.country == city.country and each is not city]
        if not others:
            return self.nearest(city)
        medians = [
            (region, statistics.median(self.data.pings[each.name, region].mean for each in others))
            for region in self.regions
        ]
        return _best(medians)

    def true_seconds(self, client: Network, region: str) -> float:
        """Return the mean round trip."""
        return self.data.pings[client.city.name, region].mean + client.access_seconds

    def sample(self, client: Network, region: str) -> float:
        """Return one measurement."""
        ping = self.data.pings[client.city.name, region]
        access = client.access_seconds * self.random.lognormvariate(0, 0.25) if client.access_seconds else 0.0
        return max(ping.smallest, self.random.gauss(ping.mean, ping.deviation)) + access

    def _regret(self, chosen: list[tuple[Network, str]]) -> tuple[float, float]:
        pairs = [
            (self.true_seconds(client, region), min(self.true_seconds(client, each) for each in self.regions))
            for client, region in chosen
        ]
        wrong = sum(taken > best for taken, best in pairs)
        return sum(taken for taken, _ in pairs) / sum(best for _, best in pairs), wrong / len(pairs)

    def _places(self, *, knows_cities: bool) -> dict[str, Location]:
        if knows_cities:
            return {city.name: city.location for city in self.cities}
        countries: defaultdict[str, list[City]] = defaultdict(list)
        for city in self.cities:
            countries[city.country].append(city)
        centers = {country: center(cities) for country, cities in countries.items()}
        return {city.name: centers[city.country] for city in self.cities}

    def _network(self, city: City, index: int, *, uses_areas: bool) -> Network:
        asn = 1 + self.random.randrange(ASNS_PER_COUNTRY)
        location = city.location if uses_areas else None
        network = ClientNetwork(f"{city.name} {index}", asn, city.country, location)
        median = self.traffic.access_seconds
        return Network(city, network, median * self.random.lognormvariate(0, 0.7) if median else 0.0)


def _best(regions: list[tuple[str, float]] | tuple[tuple[str, float], ...]) -> str:
    return min(regions, key=lambda each: (each[1], each[0]))[0]
