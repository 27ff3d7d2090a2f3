"""Every metric of the engine is on its page, and no other is."""

from pathlib import Path

from voxfleet_gateway.dns import telemetry

PAGE = Path(__file__).parents[4] / "docs/dns.md"


def test_every_metric_is_documented() -> None:
    here = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric.type
        for metric in telemetry.REGISTRY.collect()
        if metric.name.startswith(telemetry.PREFIX)
    }
    lines = PAGE.read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    documented = {
        row[0].strip("`"): row[1] for row in rows if row[0].startswith(f"`{telemetry.PREFIX}") and len(row) > 3
    }
    assert documented == here
