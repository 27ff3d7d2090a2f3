"""API keys as they are stored: one entry per key, with the key's SHA-256 in place of the key. Pure.

Knows: the form of an entry, which key a presented one is, expiry. An entry with a mistake makes its own key invalid and
no other; since an entry may hold a key in plain text by mistake, errors name its field and never quote its value.
Does not know: where entries are stored, clocks (the time is an argument).
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from voxfleet_gateway.decisions.caller import EVERY_MODEL
from voxfleet_gateway.errors import ApiKeyEntryError

ENDING = ".json"  # of an entry's name in the Secret: <id>.json
# The form that the speech server's Voxfleet-Tenant has.
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}$"
MODEL_PATTERN = r"^(\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,127}(/(\*|[A-Za-z0-9][A-Za-z0-9._:-]{0,127}))?)$"
HASH_PATTERN = r"^sha256:[0-9a-f]{64}$"
LONGEST_HOLD_SECONDS = 3600

ModelName = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]


class StoredKey(BaseModel):
    """One entry. A field that is not known here may restrict the key in a newer version, so it is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: str = Field(pattern=HASH_PATTERN)
    tenant: str = Field(pattern=TENANT_PATTERN)
    models: tuple[ModelName, ...] = Field(min_length=1, max_length=256)
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    may_upload: bool = False
    may_operate: bool = False
    hold_seconds: int | None = Field(default=None, ge=0, le=LONGEST_HOLD_SECONDS)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A valid key."""

    key_id: str
    stored: StoredKey

    @property
    def models(self) -> frozenset[str] | None:
        """The names that the key may use; None: every model."""
        return None if EVERY_MODEL in self.stored.models else frozenset(self.stored.models)

    def is_expired(self, now: datetime) -> bool:
        """Whether the key is no longer valid."""
        return self.stored.expires_at is not None and now >= self.stored.expires_at


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys, by hash; and the entries with mistakes, by id, with the reason."""

    by_hash: Mapping[str, ApiKey] = field(default_factory=dict)
    invalid: Mapping[str, str] = field(default_factory=dict)
    by_tenant: Mapping[str, Sequence[ApiKey]] = field(default_factory=dict)
    by_id: Mapping[str, ApiKey] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Mapping[str, str]) -> "KeyRing":
        """Return the keys of entries given by name (`<id>.json`)."""
        by_hash: dict[str, ApiKey] = {}
        invalid: dict[str, str] = {}
        for name in sorted(entries):
            key_id = name.removesuffix(ENDING)
            try:
                key = parse_entry(name, entries[name])
            except ApiKeyEntryError as error:
                invalid[key_id] = str(error)
                continue
            if (first := by_hash.setdefault(key.stored.hash, key)) is not key:
                invalid[key_id] = f"hash: it is that of key {first.key_id} too"
        by_tenant: dict[str, list[ApiKey]] = {}
        for key in by_hash.values():
            by_tenant.setdefault(key.stored.tenant, []).append(key)
        return cls(by_hash, invalid, by_tenant, {key.key_id: key for key in by_hash.values()})

    def find(self, presented: str) -> ApiKey | None:
        """Return the key that was presented, or None.

        The time does not depend on how much of it is right: what is looked up is a hash, which no client can choose.
        """
        digest = hash_of(presented)
        key = self.by_hash.get(digest)
        return key if key is not None and hmac.compare_digest(key.stored.hash, digest) else None


def hash_of(key: str) -> str:
    """Return a key's hash as entries hold it; one round is enough, since keys are random and long."""
    return "sha256:" + hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def parse_entry(name: str, text: str) -> ApiKey:
    """Read one entry. Raises ApiKeyEntryError, which names the field and never its value."""
    if not name.endswith(ENDING) or name == ENDING:
        raise ApiKeyEntryError(f"the entry's name must be <id>{ENDING}")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ApiKeyEntryError("the entry is not JSON") from error
    try:
        return ApiKey(name.removesuffix(ENDING), StoredKey.model_validate(fields))
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "entry"
        raise ApiKeyEntryError(f"{where:.80}: {first['msg']}") from None
