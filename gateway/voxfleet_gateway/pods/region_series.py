"""The series of regions in the metrics: they begin with 0 as soon as a region is known, and end with it.

For Prometheus a series whose first value is 1 has not risen: without a zero before it, the first request, wake or
refusal of a region has no rate and no quantile.
Knows: which label values a region's series can have, how many are made. Does not know: when metrics are scraped, what
counts (telemetry.py has the definitions).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import (
    BROKEN_STREAMS,
    CIRCUITS_OPENED,
    EJECTED_PODS,
    EJECTIONS,
    FIRST_BYTE,
    HELD,
    HELD_REQUESTS,
    OPEN_CIRCUITS,
    OPEN_REQUESTS,
    REFUSALS,
    REQUESTS,
    SERVABLE_PODS,
    SERVED_ROUTES,
    WAKE,
    WAKES,
)

# A region's series in all have 90 lines. Those of further regions begin with their first value, but for the few.
MOST_DETAILED_REGIONS = 100
MOST_DROPPED = 50  # regions at one scrape: each costs a look at every series

FEW: tuple[Counter | Gauge, ...] = (WAKES, BROKEN_STREAMS, EJECTIONS, CIRCUITS_OPENED, OPEN_REQUESTS, HELD_REQUESTS)
HISTOGRAMS: tuple[Histogram, ...] = (FIRST_BYTE, HELD, WAKE)
ANSWERS = (*(("200", route) for route in SERVED_ROUTES), ("502", "nearest"), ("502", "hold-wake"))
REFUSED = (*dict.fromkeys(REFUSAL_BY_FILTER.values()), "region_waking", "region_full", "bodies_full")
# Set anew at each scrape.
REFRESHED: tuple[Gauge, ...] = (SERVABLE_PODS, EJECTED_PODS, OPEN_CIRCUITS)
PER_REGION: tuple[Counter | Gauge | Histogram, ...] = (*FEW, *HISTOGRAMS, REQUESTS, REFUSALS)


@dataclass(slots=True)
class RegionSeries:
    """Which regions have series, and which have all of theirs."""

    known: set[RegionKey] = field(default_factory=set)
    detailed: set[RegionKey] = field(default_factory=set)
    leaving: dict[RegionKey, int] = field(default_factory=dict)  # with the scrapes until it is dropped for good

    def follow(self, regions: Iterable[RegionKey]) -> None:
        """Begin the series of new regions with 0, and drop those of regions that are gone."""
        present = {*regions}
        for key in sorted(present - self.known):
            _begin(key.labels)
        for key in sorted(present - self.detailed)[: MOST_DETAILED_REGIONS - len(self.detailed & present)]:
            _begin_details(key.labels)
            self.detailed.add(key)
        # Twice: a request that ends after its region has left is counted, and begins the series anew.
        self.leaving |= dict.fromkeys(self.known - present, 2)
        self.known, self.detailed = present, self.detailed & present
        self._drop()

    def _drop(self) -> None:
        for key in [*self.leaving][:MOST_DROPPED]:
            if key not in self.known:
                _end(key)
            left = self.leaving.pop(key) - 1
            if left and key not in self.known:
                self.leaving[key] = left


def _begin(labels: tuple[str, str, str]) -> None:
    for metric in FEW:
        metric.labels(*labels)


def _begin_details(labels: tuple[str, str, str]) -> None:
    for histogram in HISTOGRAMS:
        histogram.labels(*labels)
    for answer in ANSWERS:
        REQUESTS.labels(*labels, *answer)
    for reason in REFUSED:
        REFUSALS.labels(*labels, reason)


def _end(key: RegionKey) -> None:
    for metric in PER_REGION:
        metric.remove_by_labels({"namespace": key.namespace, "name": key.name, "region": key.region})
