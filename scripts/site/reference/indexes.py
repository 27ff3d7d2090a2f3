"""Indexes of pages: decisions by their first lines, runbooks by the chart's alerts.

Knows: alerts.yaml, and that each alert has a runbook of its name.
Does not know: expressions and thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml
from markdown_files import ROOT

from reference.schema_words import table

_RULES: Final = ROOT / "charts/voxfleet/files/alerts.yaml"


def alerts() -> list[str]:
    """Return a row for each alert; its name leads to its runbook."""
    rules = yaml.safe_load(_RULES.read_text(encoding="utf-8"))
    return table(
        ("alert", "severity", "for", "what it means"),
        (
            (f"docs/runbooks/{rule['alert']}.md", rule["severity"], rule.get("for", "at once"), rule["description"])
            for rule in rules
        ),
    )


def decision_list() -> Iterator[str]:
    """Yield a line for each decision."""
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        number, _, title = first.removeprefix("# ").partition(". ")
        yield f"{number}. [{title}]({path.name})"
