"""Keys and limits are read again without a restart; a mistake costs what it is in and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from voxfleet_gateway.accounts.key_store import KeyStore
from voxfleet_gateway.decisions.accounts.api_keys import hash_of
from voxfleet_gateway.errors import SettingsError


def write_key(folder: Path, key_id: str, secret: str, **fields: Any) -> None:
    row = {"hash": hash_of(secret), "tenant": "acme", "models": ["*"], "created_at": "2026-11-30T00:00:00Z"} | fields
    (folder / f"{key_id}.json").write_text(json.dumps(row))


def opened(keys: Path | str = "", tenants: Path | str = "") -> KeyStore:
    store = KeyStore(str(keys), str(tenants))
    store.open()
    return store


def found(store: KeyStore, secret: str) -> bool:
    return store.ring is not None and store.ring.find(secret) is not None


def test_without_a_folder_the_gateway_is_open_and_says_so() -> None:
    with capture_logs() as logs:
        assert opened().ring is None
    assert [line["event"] for line in logs] == ["open_gateway"]


def test_an_empty_folder_is_no_open_gateway(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.ring is not None
    assert not found(store, "any")


def test_keys_are_added_replaced_and_revoked(tmp_path: Path) -> None:
    write_key(tmp_path, "k-1", "one")
    store = opened(tmp_path)
    write_key(tmp_path, "k-2", "two")
    store.reload()
    assert found(store, "one")
    assert found(store, "two")
    (tmp_path / "k-1.json").unlink()
    store.reload()
    assert not found(store, "one")
    assert found(store, "two")


def test_a_broken_entry_is_logged_once_with_its_id_and_without_the_key(tmp_path: Path) -> None:
    write_key(tmp_path, "good", "one")
    write_key(tmp_path, "bad", "two", hash="vf-plain-text")
    with capture_logs() as logs:
        store = opened(tmp_path)
        (tmp_path / "good.json").touch()
        store.reload()
    ignored = [line for line in logs if line["event"] == "api_key_ignored"]
    assert [line["key_id"] for line in ignored] == ["bad"]
    assert "vf-plain-text" not in str(logs)
    assert found(store, "one")


def test_what_cannot_be_read_leaves_what_was_read_before(tmp_path: Path) -> None:
    keys, tenants = tmp_path / "keys", tmp_path / "tenants.json"
    keys.mkdir()
    write_key(keys, "k-1", "one")
    tenants.write_text('[{"name": "acme", "priority": 7}]')
    store = opened(keys, tenants)
    tenants.write_text('[{"name": "acme", "priority": 700}]')
    keys.rename(tmp_path / "gone")
    with capture_logs() as logs:
        store.reload()
        store.reload()
    assert [(line["event"], line["what"]) for line in logs] == [
        ("reload_failed", "keys"),
        ("reload_failed", "tenants"),
    ]
    assert found(store, "one")
    assert store.tenants["acme"].priority == 7


def test_a_failure_is_counted_at_each_look_as_long_as_it_lasts(tmp_path: Path) -> None:
    tenants = tmp_path / "tenants.json"
    tenants.write_text('[{"name": "acme", "priority": 7}]')
    store = opened("", tenants)

    def failures() -> float:
        return REGISTRY.get_sample_value("voxfleet_gateway_reload_failures_total", {"what": "tenants"}) or 0.0

    before = failures()
    tenants.write_text('[{"name": "acme", "priority": 700}]')
    for _ in range(3):
        store.reload()
    assert failures() == before + 3
    tenants.write_text('[{"name": "acme", "priority": 70}]')
    for _ in range(3):
        store.reload()
    assert failures() == before + 3
    assert store.tenants["acme"].priority == 70


@pytest.mark.parametrize(
    ("keys", "tenants", "quoted"),
    [("nothing", "", "VOXFLEET_KEYS_FOLDER.*nothing"), ("", "broken", "VOXFLEET_TENANTS_FILE.*not JSON")],
)
def test_at_the_start_a_mistake_ends_the_process(tmp_path: Path, keys: str, tenants: str, quoted: str) -> None:
    (tmp_path / "broken").write_text("{")
    with pytest.raises(SettingsError, match=quoted):
        opened(keys and tmp_path / keys, tenants and tmp_path / tenants)
