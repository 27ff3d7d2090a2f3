"""Which voices and consents there are, by tenant, and which of two versions holds. Pure.

Knows: limits per tenant and of all voices, that any tenant may use a voice without an owner, how long a deletion is
remembered. Does not know: files, other gateways, clocks (the time is an argument).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

from voxfleet_gateway.decisions.voice_names import is_consent_id
from voxfleet_gateway.errors import VoicesFullError
from voxfleet_gateway.voices.file_format import VoiceHeader, VoiceKey

SHARED = ""  # the tenant of voices that were made without a key
DELETION_MICROSECONDS = 30 * 24 * 3600 * 10**6  # a gateway that was away for longer would bring a voice back


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is stored."""

    tenant_voices: int
    tenant_bytes: int
    all_bytes: int


@dataclass(slots=True)
class VoiceIndex:
    """The newest known header of every voice and consent, deleted ones included."""

    headers: dict[VoiceKey, VoiceHeader] = field(default_factory=dict)
    changes: dict[VoiceKey, int] = field(default_factory=dict)  # number of each key's last change, in order
    last_change: int = 0
    unchecked: dict[VoiceKey, VoiceHeader] = field(default_factory=dict)  # recordings no server has decided about

    ids: dict[tuple[str, str], set[str]] = field(
        default_factory=dict
    )  # by tenant and name, of voices that are not deleted
    sum: int = 0  # exclusive or of the headers' hashes, whatever order they came in

    def merge(self, header: VoiceHeader) -> bool:
        """Keep the header if it is newer than the known one; return whether it was. Merges may come in any order."""
        known = self.headers.get(header.key)
        if known is not None and not header.is_newer_than(known):
            return False
        self.headers[header.key] = header
        self._rename(known, header)
        self.sum ^= _hash(header) ^ (_hash(known) if known is not None else 0)
        if header.is_unchecked:
            self.unchecked[header.key] = header
        else:
            self.unchecked.pop(header.key, None)
        self.last_change += 1
        self.changes.pop(header.key, None)
        self.changes[header.key] = self.last_change
        return True

    def changed_after(self, number: int, limit: int) -> tuple[list[VoiceHeader], int]:
        """Return what changed first after the change of that number, and the number of the last change among it.

        Everything that there is has changed after 0.
        """
        recent = [*takewhile(lambda key: self.changes[key] > number, reversed(self.changes))][::-1]
        page = recent[:limit]
        return [self.headers[key] for key in page], self.last_change if len(page) == len(recent) else self.changes[
            page[-1]
        ]

    def forget(self, header: VoiceHeader) -> None:
        """Drop a deletion that need not be remembered any longer."""
        del self.headers[header.key], self.changes[header.key]
        self.sum ^= _hash(header)

    def find(self, tenant: str, voice: str) -> VoiceHeader | None:
        """Return the voice that the tenant's requests may use under this id: its own, or a shared one."""
        found = (self.headers.get(key) for key in ((tenant, voice), (SHARED, voice)))
        return next((header for header in found if header is not None and not header.is_deleted), None)

    def ids_of(self, tenant: str, name: str) -> frozenset[str]:
        """Return the ids of the voices of this name that the tenant may use."""
        return frozenset(self.ids.get((tenant, name), ())) | frozenset(self.ids.get((SHARED, name), ()))

    def designed(self, wanted: VoiceHeader) -> VoiceHeader | None:
        """Return the tenant's own voice of the same seed, text and model, made before; a request may be repeated."""
        same = ((each, _design(each)) for each in self.headers.values() if each.type == "seed" and not each.is_deleted)
        return next((each for each, design in same if design == _design(wanted)), None)

    def of_tenant(self, tenant: str) -> list[VoiceHeader]:
        """Return the voices that the tenant may use, oldest first, one per id."""
        return self._usable(tenant, are_consents=False)

    def consents_of(self, tenant: str) -> list[VoiceHeader]:
        """Return the consents that the tenant's voices may name, oldest first, one per id."""
        return self._usable(tenant, are_consents=True)

    def made_with(self, consent: VoiceHeader) -> list[VoiceHeader]:
        """Return the voices that name the consent: its owner's, and all tenants' where it has none."""
        named = (each for each in self.headers.values() if each.consent == consent.id and not each.is_deleted)
        return [each for each in named if consent.tenant in {each.tenant, SHARED}]

    def _usable(self, tenant: str, *, are_consents: bool) -> list[VoiceHeader]:
        alike = (each for each in self.headers.values() if each.is_consent is are_consents)
        usable = [each for each in alike if each.tenant in {tenant, SHARED} and not each.is_deleted]
        by_id = {each.id: each for each in sorted(usable, key=lambda each: each.tenant == tenant)}
        return sorted(by_id.values(), key=lambda each: (each.created_at, each.id))

    def _rename(self, before: VoiceHeader | None, after: VoiceHeader) -> None:
        if after.is_consent:
            return
        if before is not None and not before.is_deleted:
            named = self.ids[before.tenant, before.name]
            named.discard(before.id)
            if not named:
                del self.ids[before.tenant, before.name]
        if not after.is_deleted:
            self.ids.setdefault((after.tenant, after.name), set()).add(after.id)

    def next_version(self, key: VoiceKey, now_microseconds: int) -> int:
        """Return the version of a change made now: larger than the known one, whatever the clocks say."""
        known = self.headers.get(key)
        return max(now_microseconds, known.version + 1 if known is not None else 0)

    def check_room(self, key: VoiceKey, size: int, limits: Limits) -> None:
        """Raise VoicesFullError if the voice would exceed a limit; a voice that is replaced makes room for itself."""
        others = [each for each in self.headers.values() if each.key != key and not each.is_deleted]
        own = [each for each in others if each.tenant == key[0]]
        own_bytes, all_bytes = (sum(each.payload_bytes for each in group) for group in (own, others))
        alike = sum(each.is_consent is is_consent_id(key[1]) for each in own)
        if alike >= limits.tenant_voices:
            kind = "consents" if is_consent_id(key[1]) else "voices"
            raise VoicesFullError(f"{alike} {kind} are stored; the limit is {limits.tenant_voices} per tenant")
        if own_bytes + size > limits.tenant_bytes:
            raise VoicesFullError(
                f"voices of {own_bytes} bytes are stored, this one has {size}; the limit is {limits.tenant_bytes} per "
                "tenant"
            )
        if all_bytes + size > limits.all_bytes:
            raise VoicesFullError(f"voices of {all_bytes} bytes are stored; the limit is {limits.all_bytes}")

    def outdated(self, now_microseconds: int) -> list[VoiceHeader]:
        """Return the deletions that need not be remembered any longer."""
        before = now_microseconds - DELETION_MICROSECONDS
        return [each for each in self.headers.values() if each.is_deleted and each.version < before]

    def newer(self, theirs: Iterable[VoiceHeader]) -> list[VoiceHeader]:
        """Return those of another gateway's headers that are newer than this one's."""
        return [each for each in theirs if (known := self.headers.get(each.key)) is None or each.is_newer_than(known)]

    def digest(self) -> str:
        """Return a digest of everything; equal for gateways that have the same voices."""
        return f"{self.sum:032x}"


def _hash(header: VoiceHeader) -> int:
    return int.from_bytes(hashlib.sha256(header.model_dump_json().encode()).digest()[:16])


def _design(header: VoiceHeader) -> tuple[str, int | None, str, str, int]:
    # The generation changes with the checkpoint, after which the same seed draws another voice.
    return header.tenant, header.seed, header.transcript, header.model, header.model_generation
