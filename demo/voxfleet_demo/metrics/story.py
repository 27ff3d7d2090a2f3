"""The dashboards' queries asked about the time of the story.

Knows: which dashboard and panel a query is of, and when the story was. Does not know: what is made of the values.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from voxfleet_demo.metrics.configuration import INTERVAL_SECONDS
from voxfleet_demo.metrics.dashboards import DashboardQuery, over
from voxfleet_demo.metrics.prometheus import Prometheus, Series

SETTLE_SECONDS = 3 * INTERVAL_SECONDS  # after it, what happened last has been scraped


@dataclass(frozen=True, slots=True)
class Story:
    """A time of one Prometheus, and the queries to ask about it."""

    prometheus: Prometheus
    queries: Mapping[str, DashboardQuery]  # by place
    start: float  # time.time()
    end: float

    @property
    def seconds(self) -> float:
        """Return how long it lasted."""
        return self.end - self.start

    def values(self, place: str, **selected: str) -> dict[str, float]:
        """Return a query's values at the end, its windows as long as the story, by the value of their labels."""
        expression = over(self.queries[place].selected(**selected), self.seconds)
        found = self.prometheus.at(expression, self.end)
        return {_name(each): each.samples[0][1] for each in found if each.samples}

    def course(self, expression: str) -> tuple[Series, ...]:
        """Return an expression's values at each scrape."""
        return self.prometheus.between(expression, self.start, self.end, INTERVAL_SECONDS)

    def has_data(self) -> dict[DashboardQuery, bool]:
        """Return for each query whether Grafana would draw something of the story."""
        return {query: any(each.samples for each in self.course(query.selected())) for query in self.queries.values()}


def story_since(start: float, prometheus: Prometheus, queries: tuple[DashboardQuery, ...]) -> Story:
    """Return the story from a start until now, once its end has been scraped."""
    time.sleep(SETTLE_SECONDS)
    return Story(prometheus, {query.place: query for query in queries}, start, time.time())


def _name(series: Series) -> str:
    return " ".join(value for label, value in sorted(series.labels.items()) if label != "__name__")
