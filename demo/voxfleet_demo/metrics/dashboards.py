"""The queries of the chart's dashboards as values, and which of them the demo's story leaves without data.

Knows: the YAML of charts/voxfleet/files/dashboards, and Grafana's variables. Does not know: how a query is evaluated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

ANY = ".*"  # what Grafana's "All" puts in place of a variable


@dataclass(frozen=True, slots=True)
class DashboardQuery:
    """One query of a panel; `expression` has Grafana's variables."""

    dashboard: str  # the file's name, such as "fleet"
    panel: str
    legend: str
    expression: str

    @property
    def place(self) -> str:
        """Return where it stands: dashboard / panel / legend."""
        return f"{self.dashboard} / {self.panel} / {self.legend}"

    def selected(self, **values: str) -> str:
        """Return the expression with these variables' values, and every other variable's "All"."""
        return re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], ANY), self.expression)


def read_dashboards(folder: Path) -> tuple[DashboardQuery, ...]:
    """Return the queries of all dashboards in a folder, in their order."""
    return tuple(
        DashboardQuery(path.stem, panel["title"], legend, expression)
        for path in sorted(folder.glob("*.yaml"))
        for panel in yaml.safe_load(path.read_text())["panels"]
        for legend, expression in panel["queries"].items()
    )


def over(expression: str, seconds: float) -> str:
    """Return an expression with every window ([5m], [1h]) replaced by the time of the story."""
    return re.sub(r"\[\d+[smhd]\]", f"[{seconds:.0f}s]", expression)


def unexpected(has_data: Mapping[DashboardQuery, bool], reasons: Mapping[str, str]) -> list[str]:
    """Return one line per query that is empty without a reason, and one per reason whose queries all have data.

    Args:
        has_data: whether the story gave a query data.
        reasons: why queries have none, by the beginning of their place: a panel's, or a query's own.
    """
    empty = [query for query, has in has_data.items() if not has]
    unexplained = [query for query in empty if not query.place.startswith(tuple(reasons))]
    needless = [place for place in reasons if not any(query.place.startswith(place) for query in empty)]
    return [
        *(f"no data, and no reason listed: {query.place}: {query.expression}" for query in unexplained),
        *(f"listed as empty, and has data: {place}" for place in needless),
    ]
