"""Every setting is documented, and nothing else is."""

import re
from pathlib import Path

from voxfleet_operator.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"


def test_every_setting_is_documented() -> None:
    text = (DOCS / "operator-settings.md").read_text()
    assert [name for name in Settings.model_fields if f"VOXFLEET_{name.upper()} " not in text] == []
    documented = re.findall(r"VOXFLEET_([A-Z_]+)", text)
    assert {name.lower() for name in documented} == set(Settings.model_fields)
