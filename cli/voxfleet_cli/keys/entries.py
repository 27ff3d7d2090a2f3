"""A key's entry in the Secret, as the gateways read it. Pure.

Knows: the entry's fields and their forms, the hash, when a key has expired. docs/keys-and-tenants.md has the form; a
test lets the gateway's own code read what is written here.
Does not know: where entries are stored, clocks and random sources (arguments).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from voxfleet_cli.errors import EntryError

ENDING = ".json"
KEY_PREFIX = "vf-"  # so that scanners for leaked secrets can find one
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}$"
MODEL_PATTERN = r"^(\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(/(\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,127}))?)$"
LONGEST_HOLD_SECONDS = 3600
FORMS = {
    "tenant": "1 to 128 letters, digits and . _ / : @ -, the first a letter or digit",
    "hold_seconds": "at most 1h",
    "models": "namespace/name, a bare name, namespace/* or *",
}

OPTIONS = {"tenant": "tenant", "models": "model", "hold_seconds": "hold", "expires_at": "expires"}

ModelName = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]


class KeyEntry(BaseModel):
    """The fields of an entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    tenant: str = Field(pattern=TENANT_PATTERN)
    models: tuple[ModelName, ...] = Field(min_length=1, max_length=256)
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    may_upload: bool = False
    may_operate: bool = False
    hold_seconds: int | None = Field(default=None, ge=0, le=LONGEST_HOLD_SECONDS)

    @property
    def text(self) -> str:
        """The entry as it is stored."""
        return self.model_dump_json(exclude_defaults=True)

    def is_expired(self, now: datetime) -> bool:
        """Whether the key is no longer valid."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One entry of the Secret: valid, or with the reason why the gateways ignore it."""

    key_id: str
    entry: KeyEntry | None
    mistake: str = ""

    def state(self, now: datetime) -> str:
        """Return what a gateway makes of it."""
        if self.entry is None:
            return f"ignored: {self.mistake}"
        return "expired" if self.entry.is_expired(now) else "valid"


def new_entry(key: str, now: datetime, **fields: Any) -> KeyEntry:
    """Return the entry of a new key. Raises EntryError, which names the field, its value and its form."""
    try:
        entry = KeyEntry.model_validate({"hash": hash_of(key), "created_at": now, **fields})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        form = FORMS.get(name, first["msg"])
        raise EntryError(f"--{OPTIONS[name]}: must be {form}, not {first['input']!r:.80}") from error
    if entry.is_expired(now):
        raise EntryError(f"--expires: must lie in the future, not {entry.expires_at}")
    return entry


def hash_of(key: str) -> str:
    """Return a key's hash as entries hold it."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def stored_keys(texts: Mapping[str, str]) -> list[StoredKey]:
    """Return all entries of the Secret, the oldest first, those with mistakes last."""
    found = [_stored(name, text) for name, text in texts.items()]
    return sorted(found, key=lambda each: (each.entry is None, each.entry and each.entry.created_at, each.key_id))


def _stored(name: str, text: str) -> StoredKey:
    key_id = name.removesuffix(ENDING)
    if not name.endswith(ENDING):
        return StoredKey(name, None, f"the entry's name must end in {ENDING}")
    try:
        return StoredKey(key_id, KeyEntry.model_validate(json.loads(text)))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]  # the value may be a key by mistake
        where = ".".join(str(part) for part in first["loc"]) or "entry"
        return StoredKey(key_id, None, f"{where}: {first['msg']}")
    except (ValueError, RecursionError):
        return StoredKey(key_id, None, "the entry is not JSON")
