"""Which region a prefix resolves to. Pure.

Knows: the shares of a solution, and what replaces them: geography, then the default region; that a leaf may explore.
Prefixes are assigned by weighted rendezvous hashing: every engine that has the same shares gives the same answer, a
prefix keeps its region while the shares stay, and when they change no more prefixes move than have to.
Does not know: databases, scopes (scopes.py), records; how shares are found (linear_program.py).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from voxfleet_gateway.decisions.client_location import expected_rtts_seconds
from voxfleet_gateway.decisions.dns.demand_shares.client_groups import ClientGroup, group_of, location_of
from voxfleet_gateway.decisions.dns.demand_shares.routing_problem import Shares
from voxfleet_gateway.decisions.dns.leaf_exploration import NO_EXPLORATION, Exploration, RegionOption
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.regions import Location

Basis = Literal["solved", "geography", "default", "explored"]  # what an answer was decided by
Rtts = Callable[[AddressFacts, "tuple[PlannedRegion, ...]"], Sequence[float]]

HASH_RANGE = 2.0**64


@dataclass(frozen=True, slots=True)
class PlannedRegion:
    """One region of one model, as far as choosing it needs."""

    name: str
    location: Location | None = None
    admission: float = 1.0  # part of its clients that it gets while it ramps up; 0: it is out
    countries: tuple[str, ...] = ()  # of clients that it may serve; empty: of all
    has_room: bool = False  # it is awake, and far from full

    def may_be_tried(self, country: str) -> bool:
        """Whether clients of a country may be sent to it without need: no GPU is woken, and no client waits."""
        may_serve = not self.countries or country in self.countries
        return self.admission >= 1 and self.has_room and may_serve


def rtts_by_distance(facts: AddressFacts, regions: tuple[PlannedRegion, ...]) -> Sequence[float]:
    """Return the round trips that distances suggest."""
    return expected_rtts_seconds(location_of(facts), tuple((each.name, each.location) for each in regions), "")


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """Everything that one model's answers are decided by, until the next plan."""

    regions: tuple[PlannedRegion, ...]
    shares: Mapping[ClientGroup, Shares] = field(default_factory=dict)  # empty: geography
    default_region: str = ""
    rtts: Rtts = rtts_by_distance
    exploration: Exploration = NO_EXPLORATION

    def explore(self, facts: AddressFacts, network: str) -> "RegionChoice | None":
        """Return the region that a leaf of the location database tries in this epoch; None for most leaves."""
        if not self.exploration.is_exploring(network):
            return None
        eligible = self._eligible(facts.country)
        if not self._knows_rtts(facts, eligible):
            return None
        rtts = self.rtts(facts, eligible)
        options = (
            RegionOption(rtt, each.name, each.may_be_tried(facts.country))
            for rtt, each in zip(rtts, eligible, strict=True)
        )
        name = self.exploration.region(network, options)
        return None if name is None else RegionChoice(name, "explored", is_uniform=True)

    def choose(self, facts: AddressFacts, prefix: bytes) -> "RegionChoice":
        """Return the region of a prefix whose clients have these facts. The plan must have a region."""
        eligible = self._eligible(facts.country)
        shares = self._shares(facts, eligible)
        if shares:
            name = max(shares, key=lambda name: _rendezvous(prefix, name, shares[name]))
            return RegionChoice(name, "solved", is_uniform=len(shares) == 1)
        if not self._knows_rtts(facts, eligible):
            return RegionChoice(self._default(eligible), "default", is_uniform=True)
        return self._nearest(facts, prefix, eligible)

    def untailored(self) -> str:
        """Return the region for a client that gives no prefix: the same for all of them."""
        return self._default(self._eligible(""))

    def _eligible(self, country: str) -> tuple[PlannedRegion, ...]:
        """Return the regions that are up and may serve the country; where there is none, the next best.

        A region that may not serve a client still says so, which an empty answer does not. And when every region is
        out, the engine's own network is the likeliest cause.
        """
        healthy = tuple(each for each in self.regions if each.admission > 0)
        serving = tuple(each for each in healthy if not country or not each.countries or country in each.countries)
        return serving or healthy or self.regions

    def _shares(self, facts: AddressFacts, eligible: tuple[PlannedRegion, ...]) -> dict[str, float]:
        found = self.shares.get(group_of(facts)) if self.shares else None
        if not found:
            return {}
        return {each.name: found[each.name] for each in eligible if found.get(each.name, 0) > 0}

    def _knows_rtts(self, facts: AddressFacts, eligible: tuple[PlannedRegion, ...]) -> bool:
        """Whether round trips can differ: by distance, or by measurements of the client's country and network."""
        if self.rtts is not rtts_by_distance and (facts.country or facts.asn):
            return True
        return location_of(facts) is not None and any(each.location for each in eligible)

    def _nearest(self, facts: AddressFacts, prefix: bytes, eligible: tuple[PlannedRegion, ...]) -> "RegionChoice":
        """Return the nearest region that takes the prefix while it ramps up."""
        rtts = self.rtts(facts, eligible)
        by_rtt = sorted((rtt, each.name, index) for index, (rtt, each) in enumerate(zip(rtts, eligible, strict=True)))
        ranked = [eligible[index] for _, _, index in by_rtt]
        taking = next((each for each in ranked if _takes(each, prefix)), ranked[0])
        return RegionChoice(taking.name, "geography", is_uniform=not 0 < ranked[0].admission < 1)

    def _default(self, eligible: tuple[PlannedRegion, ...]) -> str:
        names = [each.name for each in eligible]
        return self.default_region if self.default_region in names else names[0]


@dataclass(frozen=True, slots=True)
class RegionChoice:
    """A region, and what it was chosen by."""

    region: str
    basis: Basis
    is_uniform: bool  # every prefix with the same facts has it


def _takes(region: PlannedRegion, prefix: bytes) -> bool:
    return region.admission >= 1 or _unit_hash(prefix, f"ramp {region.name}") < region.admission


def _rendezvous(prefix: bytes, region: str, weight: float) -> float:
    """Return the score of weighted rendezvous hashing; the highest wins with a probability in proportion to weights."""
    return -weight / math.log(_unit_hash(prefix, region))


def _unit_hash(prefix: bytes, salt: str) -> float:
    """Return a number above 0 and below 1 that depends on the arguments alone, in every process."""
    digest = blake2b(prefix, digest_size=8, key=salt.encode()[:64]).digest()
    return (int.from_bytes(digest, "big") + 0.5) / (HASH_RANGE + 1)
