"""Every metric is on its page of the documentation, and no other is."""

from pathlib import Path

from prometheus_client import REGISTRY
from voxfleet_gateway import telemetry

DOCS = Path(__file__).parents[3] / "docs"


def test_every_metric_is_documented() -> None:
    here = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric.type
        for metric in REGISTRY.collect()
        if metric.name.startswith(telemetry.PREFIX)
    }
    lines = (DOCS / "gateway-metrics.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    documented = {row[0].strip("`"): row[1] for row in rows if telemetry.PREFIX in row[0]}
    assert documented == here
