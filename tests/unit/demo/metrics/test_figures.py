"""The story's figures, Prometheus' configuration, and the check of the dashboards, with answers from a table."""

import re
from pathlib import Path
from typing import Any

import pytest
from voxfleet_demo.installation import CHECKOUT
from voxfleet_demo.metrics.configuration import ConfigurationError, configuration, documented_scrape_configs
from voxfleet_demo.metrics.dashboards import DashboardQuery, over, read_dashboards, unexpected
from voxfleet_demo.metrics.empty_queries import REASONS
from voxfleet_demo.metrics.figures import FIRING, changes, figures
from voxfleet_demo.metrics.prometheus import Series, _series
from voxfleet_demo.metrics.story import Story

QUERIES = read_dashboards(CHECKOUT / "charts/voxfleet/files/dashboards")
PAGE = (CHECKOUT / "docs/monitoring.md").read_text()
NO_HOLD = "at most 1 at a time, p50 no data, p95 no data"
ROW = DashboardQuery("fleet", "Wakes", "p95", 'sum(rate(x{name=~"$name", region=~"${region}"}[5m]))')


class Answers:
    """In place of Prometheus: answers by a text that the expression contains, and keeps what it was asked."""

    def __init__(self, **rows: tuple[Series, ...]) -> None:
        self.rows = rows
        self.asked: list[str] = []

    def at(self, expression: str, _when: float) -> tuple[Series, ...]:
        self.asked.append(expression)
        return next((rows for part, rows in self.rows.items() if part in expression), ())

    def between(self, expression: str, _start: float, end: float, _step_seconds: float) -> tuple[Series, ...]:
        return self.at(expression, end)

    def alert_rules(self) -> list[dict[str, str]]:
        return [{"health": "ok"}, {"health": "err"}]


def gauge(*values: float, **labels: str) -> Series:
    return Series(labels, tuple((100.0 + 2 * index, value) for index, value in enumerate(values)))


def story(prometheus: Any) -> Story:
    return Story(prometheus, {query.place: query for query in QUERIES}, 100.0, 190.0)


def test_figures_are_what_the_dashboards_queries_return() -> None:
    answers = Answers(
        voxfleet_gateway_wakes_total=(gauge(2.04),),
        voxfleet_operator_wake_phase_seconds=(gauge(0.5, phase="node"), gauge(1.25, phase="container")),
        voxfleet_operator_wake_seconds=(gauge(3.0),),
        voxfleet_gateway_held_requests=(gauge(0, 1, 0, region="eu-central"),),
        voxfleet_gateway_first_byte_seconds=(gauge(2.5),),
        voxfleet_operator_ready_replicas=(gauge(0, 0, 1, 1, 0, region="eu-central"), gauge(0, 0, region="us-east")),
        voxfleet_operator_avoided_gpu_seconds=(gauge(0.5),),
        ALERTS=(gauge(1, alertname="VoxFleetWakeSlow"),),
    )
    assert figures(story(answers)) == [
        "wakes: eu-central 2, us-east 2",
        "wake seconds, p95: 3.00 s in all; container 1.25, node 0.50",
        f"requests held: eu-central {NO_HOLD}; us-east {NO_HOLD}",
        "first byte of audio: p50 2.50 s, p95 2.50 s",
        "ready servers: eu-central 0, 1 from 4 s, 0 from 8 s",
        "GPU seconds: 0 s used, 1800 s avoided by sleeping",
        "alerts: VoxFleetWakeSlow; 1 of 2 rules evaluated without error",
    ]


def test_figures_ask_nothing_but_the_dashboards_queries() -> None:
    answers = Answers()
    lines = figures(story(answers))
    regions = ("eu-central", "us-east", ".*")
    known = {over(query.selected(region=region), 90) for query in QUERIES for region in regions}
    known |= {query.selected(region=region) for query in QUERIES for region in regions}
    assert set(answers.asked) <= known | {FIRING}
    assert "GPU seconds: 0 s used, 0 s avoided by sleeping (gpu.count is 0)" in lines
    assert "ready servers: none" in lines


def test_variables_are_replaced_by_what_is_selected_or_by_all() -> None:
    assert ROW.selected(region="eu") == 'sum(rate(x{name=~".*", region=~"eu"}[5m]))'
    assert over("rate(x[5m]) / increase(y[30d])", 90.4) == "rate(x[90s]) / increase(y[90s])"


def test_a_gauge_is_shown_by_its_changes() -> None:
    assert changes(gauge(1, 1, 2), 100.0) == "1, 2 from 4 s"


def test_samples_that_are_no_number_are_left_out() -> None:
    assert _series({}, [(1.0, "NaN"), (2.0, "3.5"), (3.0, "+Inf")]).samples == ((2.0, 3.5),)


def test_an_empty_query_needs_a_reason_and_a_reason_an_empty_query() -> None:
    assert unexpected({ROW: True}, {}) == []
    assert unexpected({ROW: False}, {"fleet / Wakes": "no wake"}) == []
    assert unexpected({ROW: False}, {}) == [f"no data, and no reason listed: fleet / Wakes / p95: {ROW.expression}"]
    assert unexpected({ROW: True}, {"fleet / Wakes": "no wake"}) == ["listed as empty, and has data: fleet / Wakes"]


@pytest.mark.parametrize("place", REASONS)
def test_each_reason_is_of_a_query_that_exists(place: str) -> None:
    assert any(query.place.startswith(place) for query in QUERIES)


def test_prometheus_scrapes_as_the_page_says_and_finds_pods_with_the_kubeconfig() -> None:
    given = configuration(PAGE, Path("/run/kubeconfig"), Path("/run/alerts.yaml"))
    assert given["rule_files"] == ["/run/alerts.yaml"]
    (job,) = given["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "kubeconfig_file": "/run/kubeconfig"}]
    (documented,) = documented_scrape_configs(PAGE)
    assert {**job, "kubernetes_sd_configs": documented["kubernetes_sd_configs"]} == documented


def test_a_page_without_the_configuration_is_named() -> None:
    with pytest.raises(ConfigurationError, match=re.escape("docs/monitoring.md has no YAML block")):
        documented_scrape_configs("# Monitoring\n")
