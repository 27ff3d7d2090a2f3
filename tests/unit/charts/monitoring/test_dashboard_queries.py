"""Every query of every dashboard yields data where the parts report it, by Prometheus' own engine (promtool).

A query that joins on a label which one side lacks, or divides by another grouping, is valid and always empty.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import voxfleet_gateway.telemetry  # noqa: F401  # defines the gateway's metrics in REGISTRY
import yaml
from prometheus_client import REGISTRY
from prometheus_client.registry import Collector
from voxfleet_gateway.dns.telemetry import REGISTRY as DNS_REGISTRY
from voxfleet_inference.telemetry.metrics import Metrics as InferenceMetrics
from voxfleet_operator.telemetry import Metrics as OperatorMetrics
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

BOARDS = sorted((REPOSITORY / "charts/voxfleet/files/dashboards").glob("*.yaml"))
MINUTES = 120
# As the PodMonitors label what is scraped; a metric's own label goes first (honorLabels).
OF_TARGET = {"namespace": "d", "pod": "p"}
OF_SERVER = OF_TARGET | {"name": "n", "region": "eu", "pool": "spot"}
LE = ("0.05", "1", "10", "+Inf")


def queries() -> Iterator[tuple[str, str, str]]:
    """Dashboard, panel and query, with each variable replaced by "any", as Grafana's "All" does."""
    for path in BOARDS:
        for panel in yaml.safe_load(path.read_text())["panels"]:
            for query in panel["queries"].values():
                yield path.stem, panel["title"], re.sub(r"\$\{?\w+\}?", ".*", query)


QUERIES = list(queries())


def collectors() -> Iterator[tuple[Collector, dict[str, str]]]:
    operator = OperatorMetrics()
    operator.observe(list, float, float)  # the gauges that it reads off resources
    for registry, labels in (
        (REGISTRY, OF_TARGET),
        (DNS_REGISTRY, OF_TARGET),
        (operator.registry, OF_TARGET),
        (InferenceMetrics().registry, OF_SERVER),
    ):
        found = getattr(registry, "_collector_to_names")  # noqa: B009  # those without a sample too
        yield from ((collector, labels) for collector in found)


def reported() -> Iterator[str]:
    """Every series that the parts can report, with one value of each label, and those that queries ask for."""
    for collector, of_target in collectors():
        for family in collector.collect():
            names = getattr(family, "_labelnames", ()) or getattr(collector, "_labelnames", ())
            in_samples = {label for sample in family.samples for label in sample.labels} - {"le"}
            labels = of_target | {
                label: of_target.get(label, VALUES.get(label, "x")) for label in {*names, *in_samples}
            }
            for suffix, extra in SUFFIXES.get(family.type, (("", {}),)):
                yield from (with_labels(family.name + suffix, each) for each in variants(labels, extra))


SUFFIXES: dict[str, tuple[tuple[str, dict[str, tuple[str, ...]]], ...]] = {
    "counter": (("_total", {}),),
    "histogram": (("_bucket", {"le": LE}), ("_count", {}), ("_sum", {})),
}
# Where all metrics have the same value of a label, joins work whenever both sides have the label.
VALUES = {"name": "n", "region": "eu", "pool": "spot"}


def asked_values() -> dict[str, set[str]]:
    """The values that queries compare labels with: type="Degraded", result=~"failed|lost"."""
    found: dict[str, set[str]] = {}
    for _, _, query in QUERIES:
        for label, text in re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', query):
            values = {re.sub(r"\.\+|\.\*", "x", part).replace("..", "00") for part in text.split("|") if part != ".*"}
            found.setdefault(label, set()).update(values)
    return found


ASKED = asked_values()


def variants(labels: dict[str, str], extra: dict[str, tuple[str, ...]]) -> Iterator[dict[str, str]]:
    choices = {label: {value, *ASKED.get(label, ())} for label, value in labels.items()} | extra
    for values in product(*(sorted(each) for each in choices.values())):
        yield dict(zip(choices, values, strict=True))


def with_labels(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ", ".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


@pytest.fixture(scope="session")
def promtool(testbed_settings: Settings) -> Path:
    programs = find_programs(testbed_settings)
    with skipping(testbed_settings):
        build(programs, ["promtool"])
    return programs.path("promtool")


def evaluated(promtool: Path, folder: Path, expressions: list[str], series: list[str]) -> str:
    """Return what promtool says of these expressions, of which each must yield at least one series; empty: all do."""
    tests = [
        {"expr": f"count({query}) > bool 0", "eval_time": f"{MINUTES}m", "exp_samples": [{"labels": "{}", "value": 1}]}
        for query in expressions
    ]
    inputs = [{"series": each, "values": f"1+1x{MINUTES}"} for each in series]
    document = {"rule_files": [], "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}]}
    file = folder / "queries.yaml"
    file.write_text(yaml.safe_dump(document, width=10_000))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_query_yields_data(promtool: Path, tmp_path: Path) -> None:
    assert len(QUERIES) > 60
    assert evaluated(promtool, tmp_path, [query for _, _, query in QUERIES], sorted(set(reported()))) == ""


def test_a_query_that_joins_on_a_label_that_one_side_lacks_is_found(promtool: Path, tmp_path: Path) -> None:
    broken = "sum by (region) (voxfleet_operator_region_phase) / sum by (name) (voxfleet_operator_region_phase)"
    assert "nil" in evaluated(promtool, tmp_path, [broken], sorted(set(reported())))
