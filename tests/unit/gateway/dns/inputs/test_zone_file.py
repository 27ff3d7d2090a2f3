"""The zone file: what it means, and what is refused by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_gateway.decisions.dns.records import Endpoint
from voxfleet_gateway.dns.inputs.zone_file import read_zone_file
from voxfleet_gateway.errors import ZoneFileError
from voxfleet_gateway.regions import Location

EXAMPLE = Path(__file__).parents[5] / "examples/dns-zone.yaml"
SERVERS = [{"name": "ns.example.net"}]


def write(folder: Path, content: Any) -> Path:
    path = folder / "zone.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_example_is_read() -> None:
    zone = read_zone_file(EXAMPLE)
    assert zone.apex == "tts.example.com."
    assert zone.records.servers == ("ns1.tts.example.com.", "ns2.tts.example.com.")
    assert list(zone.glue) == ["ns1.tts.example.com.", "ns2.tts.example.com."]
    assert len(zone.endpoints) == len(zone.served_regions) == 5
    (model,) = zone.served_models
    assert (model.full_name, model.model, len(model.regions)) == ("voices/narrator", "voxcpm-1.5", 5)


def test_every_field_has_its_meaning(tmp_path: Path) -> None:
    region = {
        "name": "eu",
        "addresses": ["192.0.2.1"],
        "port": 6006,
        "location": {"latitude": 1, "longitude": 2},
        "slots": 8,
        "pricePerGpuHour": 0.5,
        "allowedClients": ["DE"],
        "gatewayURL": "https://eu.example.com/",
    }
    models = [{"name": "a", "regions": ["eu"]}]
    content = {"zone": "T.Example", "nameServers": SERVERS, "alpn": ["h2"], "regions": [region], "models": models}
    zone = read_zone_file(write(tmp_path, content))
    assert zone.records.hostmaster == "hostmaster.t.example."
    assert zone.glue == {}
    assert {name: endpoint.port for name, endpoint in zone.endpoints.items()} == {"eu": 6006}
    assert isinstance(zone.endpoints["eu"], Endpoint)
    served = zone.served_regions["eu"]
    assert (served.location, served.countries, served.max_slots) == (Location(1, 2), ("DE",), 8)
    assert (served.price_per_gpu_hour, served.gateway_url) == (0.5, "https://eu.example.com")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("zone: [", "is no readable YAML"),
        ("- a", "valid dictionary"),
        ("", "valid dictionary"),
        ({"nameServers": SERVERS}, "zone: Field required"),
        ({"zone": "a.example", "nameServers": []}, "nameServers: .*at least 1"),
        ({"zone": "a b", "nameServers": SERVERS}, "'a b' is no domain name"),
        ({"zone": "a..b", "nameServers": SERVERS}, "is no domain name"),
        ({"zone": "a.example", "nameServers": [{"name": "ns.a.example"}]}, "'ns.a.example' is in the zone and needs"),
        ({"zone": "a.example", "nameServers": SERVERS, "ttl": 0}, "ttl: .*given 0"),
        ({"zone": "a.example", "nameServers": SERVERS, "region": []}, "region: Extra inputs"),
        ({"zone": "a.example", "nameServers": SERVERS, "regions": [{"name": "x", "addresses": ["y"]}]}, "addresses"),
        ({"zone": "a.example", "nameServers": SERVERS, "regions": [{"name": "x"}] * 2}, "same name"),
        (
            {"zone": "a.example", "nameServers": SERVERS, "regions": [{"name": "x", "gatewayURL": "http://y"}]},
            "gatewayURL",
        ),
        (
            {
                "zone": "a.example",
                "nameServers": SERVERS,
                "regions": [{"name": "x"}],
                "models": [{"name": "m", "regions": ["z"]}],
            },
            "model 'm' names region 'z'; regions are x",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ZoneFileError, match=message) as raised:
        read_zone_file(write(tmp_path, content))
    assert "zone.yaml" in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZoneFileError, match=r"none\.yaml"):
        read_zone_file(tmp_path / "none.yaml")
