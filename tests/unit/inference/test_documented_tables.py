from __future__ import annotations

from pathlib import Path

import pytest
from voxfleet_inference.requests import SpeechRequest
from voxfleet_inference.settings import ServeSettings, environment_name, flag_name
from voxfleet_inference.telemetry.metrics import Metrics

DOCS = Path(__file__).parents[3] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


SETTINGS = list(ServeSettings.model_fields)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    row = f"| `{flag_name(name)}` | `{environment_name(name)}` |"
    assert row in page("inference-settings.md")


@pytest.mark.parametrize("name", list(SpeechRequest.model_fields))
def test_every_field_of_a_request_is_documented_with_its_bounds(name: str) -> None:
    lines = page("speech-api.md").splitlines()
    assert any(line.startswith(f"| `{name}` |") and f"| {described(name)} |" in line for line in lines)


def described(name: str) -> str | None:
    return SpeechRequest.model_fields[name].description


def test_every_metric_is_documented() -> None:
    text = page("inference-metrics.md")
    for metric in Metrics().registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        assert f"| `{name}` | {metric.type} | {metric.documentation} |" in text
