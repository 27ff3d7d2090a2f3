"""Settings are documented with their defaults, read from flags and environment, and named in errors."""

from pathlib import Path

import pytest
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.settings import Settings, read_settings

DOCS = Path(__file__).parents[3] / "docs"


def rows(page: str) -> list[list[str]]:
    lines = (DOCS / page).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0].strip("`"): row for row in rows("gateway-settings.md") if row[0].startswith("`VOXFLEET_")}
    assert {*documented} == {f"VOXFLEET_{name.upper()}" for name in Settings.model_fields}
    for name, setting in Settings.model_fields.items():
        row = documented[f"VOXFLEET_{name.upper()}"]
        assert row[1] == f"`--{name.replace('_', '-')}`"
        if not setting.is_required() and setting.default_factory is None:
            assert row[2].strip("`") == (str(setting.default) or "empty")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFLEET_INTERNAL_KEY", "k")
    monkeypatch.setenv("VOXFLEET_DRAIN_SECONDS", "7")
    settings = read_settings(["--region", "eu-central", "--drain-grace-seconds", "1"])
    assert (settings.region, settings.drain_seconds, settings.drain_grace_seconds) == ("eu-central", 7, 1)
    assert "k" not in repr(settings.internal_key)


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        ([], "VOXFLEET_INTERNAL_KEY .--internal-key.: Field required"),
        (["--internal-key", "k", "--port", "70000"], "VOXFLEET_PORT .--port.*70000"),
        (["--internal-key", "k", "--trusted-proxies", "10.0.0.0/99"], "VOXFLEET_TRUSTED_PROXIES.*10.0.0.0/99"),
    ],
)
def test_a_wrong_setting_is_named_as_it_is_set(
    arguments: list[str], quoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOXFLEET_INTERNAL_KEY", raising=False)
    with pytest.raises(SettingsError, match=quoted):
        read_settings(arguments)
