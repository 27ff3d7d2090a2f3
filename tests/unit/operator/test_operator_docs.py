"""Every reason and every setting is documented, and nothing else is."""

import re
from pathlib import Path

from voxfleet_operator.conditions import BLOCKING, REASONS, SEVERITY
from voxfleet_operator.settings import Settings
from voxfleet_operator.telemetry import Metrics

DOCS = Path(__file__).parents[3] / "docs"
PACKAGE = Path(__file__).parents[3] / "operator" / "voxfleet_operator"


def test_every_reason_is_in_the_table() -> None:
    text = (DOCS / "conditions.md").read_text()
    table = text.partition("## Reasons")[2].partition("## Phases")[0]
    written = dict(re.findall(r"^\| (\w+) \| (.+) \|$", table, re.MULTILINE))
    written.pop("reason", None)
    assert written == REASONS


def test_every_reason_used_is_known() -> None:
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    used = set(re.findall(r'Problem\(\s*"(\w+)"', source))
    assert used
    assert used | set(BLOCKING) | set(SEVERITY) <= set(REASONS)


def test_every_setting_is_documented() -> None:
    text = (DOCS / "operator-settings.md").read_text()
    assert [name for name in Settings.model_fields if f"VOXFLEET_{name.upper()} " not in text] == []
    documented = re.findall(r"VOXFLEET_([A-Z_]+)", text)
    assert {name.lower() for name in documented} == set(Settings.model_fields)


def test_every_metric_is_documented() -> None:
    text = (DOCS / "operator-metrics.md").read_text()
    documented = set(re.findall(r"^\| (voxfleet_\w+) \|", text, re.MULTILINE))
    assert documented == {family.name for family in Metrics().registry.collect()}
