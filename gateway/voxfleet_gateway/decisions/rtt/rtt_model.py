"""Estimates round trips between client networks and regions, and learns them from measurements. Pure.

Knows: five levels, each drawn towards the next by the number of its samples: prefix; AS number in an area of a
country; area; country; distance. The first keeps round trips; the others keep ratios to the distance's prior, so that
what Los Angeles learns about a region says the right thing about Denver. An area is a cell of the globe: without it a
country with two coasts is one place (benchmarks/rtt_learning has the difference).
Does not know: clocks (the time is an argument), where measurements come from, what estimates are used for.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from voxfleet_gateway.decisions.rtt.cells import Cell
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork

AREA_DEGREES = 10  # a thousand kilometres, in which round trips to far regions agree
MIN_SECONDS, MAX_SECONDS = 1e-6, 3.0  # of a round trip; what lies outside measured something else
MIN_INTERVAL_SECONDS = 1.0  # between two samples of a prefix: a client with many connections counts as one
# Between two samples that a prefix passes on: a network that is busy, or delays acknowledgements, is not its country.
PASS_ON_SECONDS = 300.0
# How many samples the coarser estimate counts as. Within a prefix samples agree, within a country they do not.
PREFIX_PRIOR, GROUP_PRIOR = 0.3, 2.0
MAX_STEP = math.log(4)  # a single sample that lies farther from the estimate is taken to be so far
MIN_MEASURED_WEIGHT = 0.5  # an estimate with less behind it is called "distance"

Level = Literal["prefix", "asn", "area", "country"]
LEVELS: dict[Level, int] = {"prefix": 20_000, "asn": 5_000, "area": 1_000, "country": 300}  # groups; 15 MB when full
GroupKey = tuple[str | int | None, ...]
Cells = dict[str, Cell]  # by region


class Estimate(NamedTuple):
    """A round trip in seconds, and the weight of the samples behind it."""

    seconds: float
    weight: float

    @property
    def is_measured(self) -> bool:
        """Whether samples and not distance alone are behind it."""
        return self.weight >= MIN_MEASURED_WEIGHT


@dataclass(slots=True)
class Groups:
    """The cells of one level; when it is full, the group that was used the longest ago is forgotten."""

    limit: int
    cells: OrderedDict[GroupKey, Cells] = field(default_factory=OrderedDict)

    def get(self, key: GroupKey) -> Cells | None:
        """Return the cells of a group, which counts as used."""
        found = self.cells.get(key)
        if found is not None:
            self.cells.move_to_end(key)
        return found

    def cell(self, key: GroupKey, region: str) -> Cell:
        """Return the cell of a group and a region, made where there is none."""
        found = self.get(key)
        if found is None:
            found = self.cells[key] = {}
            if len(self.cells) > self.limit:
                self.cells.popitem(last=False)
        return found.setdefault(region, Cell())


@dataclass(slots=True)
class RttModel:
    """What was learned about round trips."""

    levels: dict[Level, Groups] = field(
        default_factory=lambda: {level: Groups(limit) for level, limit in LEVELS.items()}
    )

    def record(  # noqa: PLR0913  # what, between which ends, when, and by whose word
        self,
        network: ClientNetwork,
        region: str,
        seconds: float,
        *,
        prior_seconds: float,
        now_seconds: float,
        is_reported: bool = False,
    ) -> bool:
        """Learn from one measurement; return whether it was used. What a client reports changes its prefix alone."""
        if not MIN_SECONDS <= seconds <= MAX_SECONDS or not network.prefix:
            return False
        own = self.levels["prefix"].cell((network.prefix,), region)
        if own.weight and now_seconds - own.at_seconds < MIN_INTERVAL_SECONDS:
            return False
        expected = math.log(self.estimate(network, region, prior_seconds, now_seconds).seconds)
        value = min(max(math.log(seconds), expected - MAX_STEP), expected + MAX_STEP)
        own.add(value, now_seconds)
        if not is_reported and now_seconds - own.passed_on_seconds >= PASS_ON_SECONDS:
            own.passed_on_seconds = now_seconds
            for level, key in coarser_groups(network):
                self.levels[level].cell(key, region).add(value - math.log(prior_seconds), now_seconds)
        return True

    def estimate(self, network: ClientNetwork, region: str, prior_seconds: float, now_seconds: float) -> Estimate:
        """Return the round trip between a network and a region whose distance suggests `prior_seconds`."""
        return self.estimates(network, ((region, prior_seconds),), now_seconds)[0]

    def estimates(
        self, network: ClientNetwork, regions: Sequence[tuple[str, float]], now_seconds: float
    ) -> tuple[Estimate, ...]:
        """Return the round trips to regions, given as names with the round trips that distances suggest."""
        own = self.levels["prefix"].get((network.prefix,)) if network.prefix else None
        found = (self.levels[level].get(key) for level, key in reversed(coarser_groups(network)))
        coarser = [cells for cells in found if cells is not None]
        return tuple(_estimate(own, coarser, region, prior, now_seconds) for region, prior in regions)


def coarser_groups(network: ClientNetwork) -> tuple[tuple[Level, GroupKey], ...]:
    """Return the groups beyond the prefix that the network belongs to, the smallest first."""
    country, location = network.country, network.location
    if not country:
        return ()
    groups: list[tuple[Level, GroupKey]] = [("country", (country,))]
    area: GroupKey = ()
    if location is not None:
        area = (round(location.latitude / AREA_DEGREES), round(location.longitude / AREA_DEGREES))
        groups.insert(0, ("area", (country, *area)))
    if network.asn is not None:
        groups.insert(0, ("asn", (network.asn, country, *area)))
    return tuple(groups)


def _estimate(
    own: Cells | None, coarser: list[Cells], region: str, prior_seconds: float, now_seconds: float
) -> Estimate:
    if (own is None or region not in own) and not any(region in cells for cells in coarser):
        return Estimate(prior_seconds, 0.0)  # most regions of most clients
    ratio, weight = 0.0, 0.0
    for cells in coarser:
        if (cell := cells.get(region)) is not None:
            ratio, samples = cell.shrunk(ratio, GROUP_PRIOR, now_seconds)
            weight = max(weight, samples)
    value = ratio + math.log(prior_seconds)
    if own is not None and (cell := own.get(region)) is not None:
        value, samples = cell.shrunk(value, PREFIX_PRIOR, now_seconds)
        weight = max(weight, samples)
    return Estimate(math.exp(value), weight)
