"""Entries of API keys: each is valid or not on its own, and no error quotes what may be a key."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.accounts.api_keys import KeyRing, hash_of

SECRET = "vf-0123456789"


def entry(**fields: Any) -> str:
    row = {"hash": hash_of(SECRET), "tenant": "acme", "models": ["*"], "created_at": "2026-11-30T00:00:00Z"}
    return json.dumps({name: value for name, value in (row | fields).items() if value is not None})


def test_a_key_is_found_by_what_is_presented() -> None:
    ring = KeyRing.of({"k-1.json": entry(), "k-2.json": entry(hash=hash_of("other"), models=["a/b", "c", "d/*"])})
    first, second = ring.find(SECRET), ring.find("other")
    assert first is not None
    assert second is not None
    assert (first.key_id, first.stored.tenant, first.models) == ("k-1", "acme", None)
    assert (second.key_id, second.models) == ("k-2", frozenset({"a/b", "c", "d/*"}))
    for presented in ("", "x", SECRET[:-1], SECRET + "x", first.stored.hash, "\udcff", "x" * 100_000):
        assert ring.find(presented) is None


def test_a_key_expires() -> None:
    ring = KeyRing.of({"k.json": entry(expires_at="2026-12-01T00:00:00Z")})
    key = ring.find(SECRET)
    assert key is not None
    assert not key.is_expired(datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    assert key.is_expired(datetime(2026, 12, 1, tzinfo=UTC))


BROKEN = {
    "no JSON": ("{", "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "a list": ("[]", "entry: "),
    "no tenant": (entry(tenant=None), "tenant: Field required"),
    "a tenant with a line break": (entry(tenant="a\r\nb"), "tenant: "),
    "the key in plain text": (entry(hash=SECRET), "hash: "),
    "no models": (entry(models=[]), "models: "),
    "a wrong model": (entry(models=["a b"]), "models.0: "),
    "no time zone": (entry(created_at="2026-11-30T00:00:00"), "created_at: "),
    "a field of a newer version": (entry(only_from="10.0.0.0/8"), "only_from: Extra inputs"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_entry_is_refused_alone_by_id_and_reason(case: str) -> None:
    text, reason = BROKEN[case]
    ring = KeyRing.of({"bad.json": text, "good.json": entry(hash=hash_of("good"))})
    assert {*ring.invalid} == {"bad"}
    assert reason in ring.invalid["bad"]
    assert SECRET not in ring.invalid["bad"]
    assert ring.find("good") is not None
    assert ring.find(SECRET) is None


def test_two_entries_of_one_key_are_one_key() -> None:
    ring = KeyRing.of({"b.json": entry(tenant="other"), "a.json": entry()})
    key = ring.find(SECRET)
    assert key is not None
    assert key.key_id == "a"
    assert "key a too" in ring.invalid["b"]


def test_a_name_without_the_ending_is_refused() -> None:
    assert {*KeyRing.of({"notes": entry(), ".json": entry()}).invalid} == {"notes", ""}


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=60), max_size=6))
def test_no_text_raises(entries: dict[str, str]) -> None:
    ring = KeyRing.of(entries)
    assert len(ring.invalid) + len(ring.by_hash) <= len(entries)
