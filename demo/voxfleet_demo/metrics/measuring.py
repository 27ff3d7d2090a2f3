"""Starts Prometheus before the story, and prints the figures and the check of the dashboards after it.

Knows: the order of these steps. Does not know: what the story is.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import Settings

from voxfleet_demo.environment import LocalEnvironment
from voxfleet_demo.installation import CHECKOUT
from voxfleet_demo.metrics.configuration import configuration
from voxfleet_demo.metrics.dashboards import DashboardQuery, read_dashboards, unexpected
from voxfleet_demo.metrics.empty_queries import REASONS
from voxfleet_demo.metrics.figures import dashboards_line, figures
from voxfleet_demo.metrics.prometheus import NAME, Prometheus, start_prometheus
from voxfleet_demo.metrics.story import story_since
from voxfleet_demo.output import DemoOutput

DASHBOARDS = CHECKOUT / "charts/voxfleet/files/dashboards"
PAGE = CHECKOUT / "docs/monitoring.md"


@dataclass(frozen=True, slots=True)
class Measuring:
    """A Prometheus that scrapes the demo's cluster, and since when."""

    prometheus: Prometheus
    started: float  # time.time()

    def print_figures(self, output: DemoOutput) -> list[str]:
        """Print the story as figures; returns what is wrong with the dashboards' queries, one line each."""
        with output.step("ask Prometheus what the story looked like"):
            story = story_since(self.started, self.prometheus, read_dashboards(DASHBOARDS))
            has_data = story.has_data()
            lines = [*figures(story), *dashboards_line(has_data.values(), REASONS)]
        output.print(f"  {story.seconds:.0f} s of {self.prometheus.url}, by the dashboards' queries:")
        output.print("\n".join(f"    {line}" for line in lines))
        return self.problems(has_data)

    def problems(self, has_data: Mapping[DashboardQuery, bool]) -> list[str]:
        """Return what is wrong with the dashboards' queries and the rules, one line each."""
        broken = [rule for rule in self.prometheus.alert_rules() if rule["health"] != "ok"]
        return [*unexpected(has_data, REASONS), *(f"{rule['name']}: {rule.get('lastError')}" for rule in broken)]


def start_measuring(environment: LocalEnvironment, settings: Settings, output: DemoOutput) -> Measuring:
    """Build Prometheus where it is not cached, and start it in the cluster's run.

    Raises:
        TestbedError: it could not be built or started.
    """
    programs, run = find_programs(settings), environment.cluster.control_plane.run
    build(programs, [NAME], output.report)
    with output.step("start Prometheus"):
        rules = run.folder.write("alerts.yaml", yaml.safe_dump(environment.installation.alert_rules()).encode())
        page = PAGE.read_text(encoding="utf-8")
        prometheus = start_prometheus(
            run, programs.path(NAME), configuration(page, environment.installation.kubeconfig, rules)
        )
    return Measuring(prometheus, time.time())
