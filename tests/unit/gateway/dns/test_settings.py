"""Settings are read from flags and environment, and named in errors."""

from pathlib import Path

import pytest
from voxfleet_gateway.dns.settings import read_settings
from voxfleet_gateway.errors import SettingsError


def test_flags_and_environment_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXFLEET_ZONE_FILE", "zone.yaml")
    settings = read_settings(["--location-database", "a.mmdb, /b", "--registry", "true"])
    assert settings.zone_file == str(Path("zone.yaml").absolute())
    assert settings.location_paths == (Path("a.mmdb"), Path("/b"))
    assert settings.registry is True


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        ([], "VOXFLEET_ZONE_FILE .--zone-file.: Field required"),
        (["--zone-file", "z", "--backend-socket-mode", "rw"], "VOXFLEET_BACKEND_SOCKET_MODE .*'rw'"),
        (["--zone-file", "z", "--backend-socket", "/" + "x" * 120], "VOXFLEET_BACKEND_SOCKET .*107"),
        (["--zone-file", "z", "--rtt-peers", "gateways:9091"], "--rtt-peers needs --internal-key"),
        (["--zone-file", "z", "--rtt-peers", "gateways"], "VOXFLEET_RTT_PEERS .*'gateways' is not host:port"),
        (["--zone-file", "z", "--solve-seconds", "0"], "VOXFLEET_SOLVE_SECONDS .*given '0'"),
    ],
)
def test_a_wrong_setting_is_named(arguments: list[str], quoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VOXFLEET_ZONE_FILE", raising=False)
    with pytest.raises(SettingsError, match=quoted):
        read_settings(arguments)
