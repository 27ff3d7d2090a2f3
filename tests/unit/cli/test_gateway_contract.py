"""What the command line stores is read by the gateway's own code, and both accept the same names."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_cli.errors import EntryError
from voxfleet_cli.keys.changes import added, rotated
from voxfleet_cli.keys.entries import new_entry, stored_keys
from voxfleet_gateway.decisions.accounts.api_keys import KeyRing

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ENDS = NOW + timedelta(days=90)
NAMES = st.one_of(st.text(max_size=6), st.from_regex(r"[a-z.*/:@-]{1,6}", fullmatch=True))


def test_the_gateway_reads_what_the_command_line_stores() -> None:
    entry = new_entry(
        "one",
        NOW,
        tenant="acme",
        models=["a/b", "c"],
        expires_at=ENDS,
        may_upload=True,
        may_operate=True,
        hold_seconds=300,
    )
    texts = rotated("k-1", "k-2", "two", NOW, timedelta(hours=1))(added("k-1", entry)({}))
    ring = KeyRing.of(texts)
    assert ring.invalid == {}
    old, new = ring.find("one"), ring.find("two")
    assert old is not None
    assert new is not None
    assert (old.key_id, new.key_id) == ("k-1", "k-2")
    assert (new.stored.tenant, new.models) == ("acme", frozenset({"a/b", "c"}))
    assert (new.stored.may_upload, new.stored.may_operate, new.stored.hold_seconds) == (True, True, 300)
    assert (old.stored.expires_at, new.stored.expires_at) == (NOW + timedelta(hours=1), ENDS)
    assert [key.is_expired(NOW + timedelta(hours=2)) for key in (old, new)] == [True, False]


@given(NAMES, st.lists(NAMES, min_size=1, max_size=2), st.none() | st.integers(-1, 5000))
def test_whatever_is_accepted_here_is_accepted_there(tenant: str, models: list[str], hold_seconds: int | None) -> None:
    try:
        entry = new_entry("one", NOW, tenant=tenant, models=models, hold_seconds=hold_seconds)
    except EntryError:
        return
    assert KeyRing.of(added("k-1", entry)({})).invalid == {}


@given(st.none() | st.integers(-1, 5000) | st.floats(-1, 5000))
def test_both_accept_the_same_hold_of_an_entry_that_was_written_by_hand(hold_seconds: float | None) -> None:
    entry = new_entry("one", NOW, tenant="acme", models=["a/b"])
    text = json.dumps(json.loads(entry.text) | {"hold_seconds": hold_seconds})
    (here,) = stored_keys({"k-1.json": text})
    assert (here.entry is None) == ("k-1" in KeyRing.of({"k-1.json": text}).invalid)
