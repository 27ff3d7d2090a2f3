"""Settings are read from flags and environment, and named in errors."""

import pytest
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.settings import read_settings


@pytest.mark.parametrize("flag", ["--internal-key", "--rtc-ice-servers"])
def test_no_secret_is_quoted(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFLEET_INTERNAL_KEY", "" if flag == "--internal-key" else "k")
    with pytest.raises(SettingsError, match=flag) as wrong:
        read_settings(["--rtc-ice-servers", '{"credential": "secret"}'])
    assert "secret" not in str(wrong.value)


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
