"""Every metric is documented, and nothing else is."""

import re
from pathlib import Path

from voxfleet_operator.telemetry import Metrics

DOCS = Path(__file__).parents[3] / "docs"


def test_every_metric_is_documented() -> None:
    text = (DOCS / "operator-metrics.md").read_text()
    documented = set(re.findall(r"^\| (voxfleet_\w+) \|", text, re.MULTILINE))
    assert documented == {family.name for family in Metrics().registry.collect()}
