"""Location databases as real files: several at once, replaced while they are used, damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.location.database import LocationDatabase
from voxfleet_gateway.telemetry import RELOAD_FAILURES

FRANKFURT = {
    "country": {"iso_code": "DE"},
    "location": {"latitude": 50.11, "longitude": 8.68, "accuracy_radius": 20},
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(
        name: str, networks: dict[str, Any], version: int = 6, folder: Path = tmp_path, kind: str = "Test"
    ) -> Path:
        writer = MMDBWriter(ip_version=version, database_type=kind, ipv4_compatible=version == 6)
        for network, record in networks.items():
            writer.insert_network(IPSet([network]), record)
        written = folder / f"{name}.new"
        writer.to_db_file(str(written))
        return written.replace(folder / name)

    return to_file


def opened(*paths: Path) -> LocationDatabase:
    database = LocationDatabase(paths)
    database.open()
    return database


def failures() -> float:
    return float(RELOAD_FAILURES.labels("location")._value.get())


def test_an_address_has_the_facts_of_its_leaf(write: Write) -> None:
    database = opened(write("city.mmdb", {"192.0.2.0/24": FRANKFURT, "2001:db8::/32": {"country_code": "CN"}}))
    frankfurt = AddressFacts("192.0.2.0/24", "DE", None, 50.11, 8.68)
    assert database.lookup("192.0.2.77") == frankfurt
    assert database.lookup("::ffff:192.0.2.77") == frankfurt
    assert database.lookup("2001:db8::1") == AddressFacts("2001:db8::/32", "CN")
    assert database.lookup("198.51.100.1") is None
    assert list(database.networks()) == [frankfurt, AddressFacts("2001:db8::/32", "CN")]
    with pytest.raises(ValueError, match="unknown"):
        database.lookup("unknown")


def test_files_of_one_ip_version_and_of_as_numbers_are_used_together(write: Write) -> None:
    database = opened(
        write("v4.mmdb", {"192.0.0.0/16": {"country_code": "DE"}}, 4),
        write("v6.mmdb", {"2001:db8::/32": {"country_code": "CN"}}),
        write("asn.mmdb", {"192.0.2.0/24": {"autonomous_system_number": 64496}}),
    )
    assert database.lookup("192.0.2.1") == AddressFacts("192.0.2.0/24", "DE", 64496)
    assert database.lookup("192.0.3.1") == AddressFacts("192.0.0.0/16", "DE")
    assert database.lookup("2001:db8::1") == AddressFacts("2001:db8::/32", "CN")
    assert {facts.network for facts in database.networks()} == {"192.0.0.0/16", "2001:db8::/32"}


def test_addresses_that_many_networks_use_are_nowhere(write: Write) -> None:
    """A published database places 192.168.0.0/16 in Australia."""
    database = opened(write("a.mmdb", {"0.0.0.0/1": {"country_code": "AU"}, "128.0.0.0/1": {"country_code": "AU"}}, 4))
    assert database.lookup("9.0.0.1") == AddressFacts("0.0.0.0/1", "AU")
    for address in ("192.168.1.1", "10.1.2.3", "172.20.0.1", "100.64.0.1", "169.254.1.1", "::ffff:10.1.2.3", "fd00::1"):
        assert database.lookup(address) is None


def test_a_folder_stands_for_its_databases(write: Write, tmp_path: Path) -> None:
    write("a.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
    (tmp_path / "LICENSE").write_text("text")
    database = opened(tmp_path)
    write("b.mmdb", {"198.51.100.0/24": {"country_code": "FR"}})
    database.reload()
    assert database.lookup("198.51.100.1") == AddressFacts("198.51.100.0/24", "FR")
    (tmp_path / "a.mmdb").unlink()
    database.reload()
    assert database.lookup("192.0.2.1") is None


def test_a_renamed_file_is_read_again(write: Write) -> None:
    database = opened(write("a.mmdb", {"192.0.2.0/24": {"country_code": "DE"}}))
    write("a.mmdb", {"192.0.2.0/24": {"country_code": "FR"}})
    database.reload()
    assert database.lookup("192.0.2.1") == AddressFacts("192.0.2.0/24", "FR")


@pytest.mark.parametrize("named", ["a.mmdb", ""])
def test_a_mount_whose_link_moves_is_read_again(write: Write, tmp_path: Path, named: str) -> None:
    """The kubelet writes a new folder and renames the link ..data onto it."""
    mount = tmp_path / "mount"
    for index, country in enumerate(("DE", "FR")):
        (mount / f"..{index}").mkdir(parents=True)
        write("a.mmdb", {"192.0.2.0/24": {"country_code": country}}, folder=mount / f"..{index}")
    (mount / "..data").symlink_to("..0")
    (mount / "a.mmdb").symlink_to("..data/a.mmdb")
    database = opened(mount / named)
    (mount / "..new").symlink_to("..1")
    (mount / "..new").replace(mount / "..data")
    database.reload()
    assert database.lookup("192.0.2.1") == AddressFacts("192.0.2.0/24", "FR")


def test_a_damaged_file_replaces_nothing_and_is_counted_once(write: Write, tmp_path: Path) -> None:
    path = write("a.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
    database, before = opened(path), failures()
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"<html>rate limited</html>"):
        (tmp_path / "new").write_bytes(damaged)
        (tmp_path / "new").replace(path)
        database.reload()
        database.reload()
        assert database.lookup("192.0.2.1") == AddressFacts("192.0.2.0/24", "DE")
    assert failures() == before + 3
    write("a.mmdb", {"192.0.2.0/24": {"country_code": "FR"}})
    database.reload()
    assert database.lookup("192.0.2.1") == AddressFacts("192.0.2.0/24", "FR")


def test_a_file_that_is_overwritten_in_place_does_not_end_the_process(write: Write) -> None:
    """A mapped file that is truncated ends its process by SIGBUS when it is read."""
    networks = {f"11.{i}.{j}.0/24": {"country_code": "DE", "city": f"{i}-{j}"} for i in range(32) for j in range(8)}
    database = opened(path := write("a.mmdb", networks))
    with path.open("r+b") as file:
        file.truncate(0)
    assert all(database.lookup(network.split("/")[0]) is not None for network in networks)
    database.reload()
    assert database.lookup("11.3.5.1") == AddressFacts("11.3.5.0/24", "DE")


def test_a_file_that_is_gone_keeps_its_last_content(write: Write) -> None:
    path = write("a.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
    database, before = opened(path), failures()
    path.unlink()
    database.reload()
    database.reload()
    assert database.lookup("192.0.2.1") == AddressFacts("192.0.2.0/24", "DE")
    assert failures() == before + 1


def test_a_database_that_cannot_be_used_at_the_start_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"VOXFLEET_LOCATION_DATABASE .*missing\.mmdb"):
        opened(tmp_path / "missing.mmdb")
    (tmp_path / "text.mmdb").write_text("no database")
    with pytest.raises(SettingsError, match=r"text\.mmdb is no location database"):
        opened(tmp_path / "text.mmdb")
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"empty has no \.mmdb file"):
        opened(empty)
    with pytest.raises(SettingsError, match=r"neither countries.*'Test'"):
        opened(write("other.mmdb", {"192.0.2.0/24": {"connection_type": "Cable"}}))


def test_databases_name_the_attribution_that_they_need(write: Write) -> None:
    database = opened(
        write("city.mmdb", {"192.0.2.0/24": {"country_code": "DE"}}, kind="DBIP-City-Lite"),
        write("asn.mmdb", {"192.0.2.0/24": {"asn": 1}}, kind="DBIP-ASN-Lite (compat=GeoLite2-ASN)"),
        write("own.mmdb", {"192.0.2.0/24": {"country_code": "DE"}}),
    )
    assert [each.text for each in database.attributions()] == ["IP Geolocation by DB-IP"]


def test_no_descriptor_is_left_open(write: Write) -> None:
    path = write("a.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
    before = len(list(Path("/proc/self/fd").iterdir()))
    database = opened(path)
    for _ in range(3):
        write("a.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
        database.reload()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
