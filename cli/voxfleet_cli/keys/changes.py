"""What `create`, `rotate` and `revoke` change in the Secret's entries. Pure.

Knows: lifetimes and overlaps. Does not know: where the Secret is; a change may be made again on newer entries.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from voxfleet_cli.errors import EntryError, UnknownKeyError
from voxfleet_cli.keys.entries import ENDING, KeyEntry, StoredKey, hash_of, stored_keys

Texts = Mapping[str, str]  # the Secret's entries by name
Change = Callable[[Texts], dict[str, str]]  # returns the new entries

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"(\d{1,9})([smhdw])")
LONGEST_DAYS = 36_500


def added(key_id: str, entry: KeyEntry) -> Change:
    """Return the change that adds a key."""
    return lambda texts: {**texts, f"{key_id}{ENDING}": entry.text}


def rotated(key_id: str, new_id: str, new_key: str, now: datetime, overlap: timedelta) -> Change:
    """Return the change that adds a key with the rights and the lifetime of another, which ends after the overlap."""

    def change(texts: Texts) -> dict[str, str]:
        old = _known(texts, key_id)
        lifetime = old.expires_at - old.created_at if old.expires_at is not None else None
        fresh = {"hash": hash_of(new_key), "created_at": now, "expires_at": now + lifetime if lifetime else None}
        ends = min(now + overlap, old.expires_at) if old.expires_at is not None else now + overlap
        return {
            **texts,
            f"{new_id}{ENDING}": old.model_copy(update=fresh).text,
            f"{key_id}{ENDING}": old.model_copy(update={"expires_at": ends}).text,
        }

    return change


def revoked(key_id: str) -> Change:
    """Return the change that removes a key, also one whose entry has a mistake."""

    def change(texts: Texts) -> dict[str, str]:
        _stored(texts, key_id)
        return {name: text for name, text in texts.items() if name not in {key_id, f"{key_id}{ENDING}"}}

    return change


def parse_duration(text: str, flag: str) -> timedelta:
    """Read 45s, 30m, 12h, 90d or 4w. Raises EntryError."""
    found = DURATION.fullmatch(text)
    seconds = int(found[1]) * UNITS[found[2]] if found is not None else None
    if seconds is None or seconds > LONGEST_DAYS * UNITS["d"]:
        raise EntryError(f"{flag}: must be a duration such as 12h or 90d, not {text!r:.80}")
    return timedelta(seconds=seconds)


def parse_expiry(text: str, now: datetime) -> datetime:
    """Read a duration from now on, or a time with its zone. Raises EntryError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now + parse_duration(text, "--expires")
    if at.tzinfo is None:
        raise EntryError(f"--expires: a time needs its zone, as {text[:19]!r}+00:00")
    return at.astimezone(UTC)


def _stored(texts: Texts, key_id: str) -> StoredKey:
    keys = {each.key_id: each for each in stored_keys(texts)}
    if key_id not in keys:
        known = ", ".join(sorted(keys)) if keys else "none"
        raise UnknownKeyError(f"there is no key {key_id!r:.80}; known: {known:.400}")
    return keys[key_id]


def _known(texts: Texts, key_id: str) -> KeyEntry:
    found = _stored(texts, key_id)
    if found.entry is None:
        raise EntryError(f"key {key_id} has a mistake ({found.mistake}); revoke it and create another one")
    return found.entry
