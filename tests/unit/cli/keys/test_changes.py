"""Changes of the Secret's entries: rights are kept, overlaps and lifetimes end when they say."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_cli.errors import CliError, EntryError, UnknownKeyError
from voxfleet_cli.keys.changes import added, parse_duration, parse_expiry, revoked, rotated
from voxfleet_cli.keys.entries import KeyEntry, hash_of, new_entry, stored_keys

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def entry(key: str = "one", **fields: Any) -> KeyEntry:
    return new_entry(key, NOW, **{"tenant": "acme", "models": ["a/b"], **fields})


def by_id(texts: dict[str, str]) -> dict[str, KeyEntry | None]:
    return {each.key_id: each.entry for each in stored_keys(texts)}


def test_a_key_is_added_beside_the_others() -> None:
    texts = added("k-2", entry("two"))(added("k-1", entry())({"broken.json": "{"}))
    assert by_id(texts) == {"k-1": entry(), "k-2": entry("two"), "broken": None}


def test_a_rotated_key_has_the_same_rights_and_lifetime_and_ends_after_the_overlap() -> None:
    old = entry(expires_at=NOW + 90 * DAY, may_upload=True)
    later = NOW + 80 * DAY
    found = by_id(rotated("k-1", "k-2", "two", later, 2 * DAY)({"k-1.json": old.text}))
    first, second = found["k-1"], found["k-2"]
    assert first is not None
    assert second is not None
    assert (first.expires_at, first.hash) == (later + 2 * DAY, old.hash)
    assert (second.hash, second.created_at, second.expires_at) == (hash_of("two"), later, later + 90 * DAY)
    assert (second.tenant, second.models, second.may_upload) == ("acme", ("a/b",), True)


def test_an_overlap_never_prolongs_a_key() -> None:
    old = entry(expires_at=NOW + DAY)
    found = by_id(rotated("k-1", "k-2", "two", NOW, 5 * DAY)({"k-1.json": old.text}))
    assert found["k-1"] == old


def test_a_key_without_expiry_is_rotated_to_one_without() -> None:
    found = by_id(rotated("k-1", "k-2", "two", NOW, timedelta(0))({"k-1.json": entry().text}))
    assert found["k-2"] is not None
    assert found["k-2"].expires_at is None
    assert found["k-1"] is not None
    assert found["k-1"].is_expired(NOW)


@pytest.mark.parametrize("name", ["k-1.json", "k-1"])
def test_a_key_is_revoked_also_when_its_entry_has_a_mistake(name: str) -> None:
    texts = {name: "{", "k-2.json": entry().text}
    assert revoked("k-1")(texts) == {"k-2.json": entry().text}
    if name == "k-1.json":
        with pytest.raises(EntryError, match="k-1 has a mistake"):
            rotated("k-1", "k-3", "x", NOW, DAY)(texts)


def test_an_unknown_id_is_named_with_the_known_ones() -> None:
    for change in (revoked("k-9"), rotated("k-9", "k-3", "x", NOW, DAY)):
        with pytest.raises(UnknownKeyError, match="'k-9'; known: k-1"):
            change({"k-1.json": entry().text})


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90d", NOW + 90 * DAY),
        ("45s", NOW + timedelta(seconds=45)),
        ("2w", NOW + 14 * DAY),
        ("2027-01-01T01:00:00+01:00", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_duration_or_a_time(text: str, at: datetime) -> None:
    assert parse_expiry(text, NOW) == at


@pytest.mark.parametrize("text", ["90", "d", "-1d", "1y", "999999999w", "2027-01-01T00:00:00", "", "1d "])
def test_a_wrong_expiry_names_flag_and_value(text: str) -> None:
    with pytest.raises(EntryError, match="--expires"):
        parse_expiry(text, NOW)


def test_an_expiry_in_the_past_and_wrong_names_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"expires_at": NOW - DAY}, "--expires: must lie in the future"),
        ({"tenant": "a b"}, "--tenant: must be 1 to 128 letters.* not 'a b'"),
        ({"models": ["a/b/c"]}, "--model: must be namespace/name.* not 'a/b/c'"),
        ({"models": []}, "--model: must be"),
    ]
    for fields, message in wrong:
        with pytest.raises(EntryError, match=message):
            entry(**fields)


@given(st.text(max_size=12))
def test_no_text_raises_anything_else(text: str) -> None:
    for parse in (lambda: parse_expiry(text, NOW), lambda: parse_duration(text, "--overlap")):
        with contextlib.suppress(CliError):
            assert parse() is not None
