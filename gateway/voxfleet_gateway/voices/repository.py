"""The voices and consents of this gateway: found in memory, read from the folder, and asked of its peers if missing.

Knows: the order of those three, that every call which blocks on the disk runs in a thread, that a change is written
before it is known. Does not know: HTTP; how peers are reached (peers.py).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import structlog

from voxfleet_gateway.decisions.voice_names import is_stored_id
from voxfleet_gateway.errors import VoiceFileError, VoicesUnavailableError
from voxfleet_gateway.voices.absence import Presence, returning, unconfirmed
from voxfleet_gateway.voices.check_result import CheckResult
from voxfleet_gateway.voices.disk import VoiceFolder
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, VoiceKey, parse
from voxfleet_gateway.voices.index import SHARED, Limits, VoiceIndex

MISSING_SECONDS = 2.0  # in which peers are not asked again for a voice that none of them has
MAX_MISSING = 4096
RECORD_SECONDS = 3600.0  # between two records of this gateway's presence
SETTLED_NANOSECONDS = 2 * 10**9  # the coarsest clocks of file systems
MAX_ASKING = 64  # voices at a time

log = structlog.get_logger(__name__)


def now_microseconds() -> int:
    """Return the wall-clock time, by which changes in different gateways are compared."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class VoiceRepository:
    """Shared by all requests of this gateway; all methods belong to the event loop's thread."""

    folder: VoiceFolder
    limits: Limits
    ask_peers: Callable[[VoiceKey], Awaitable[bytes | None]]
    on_change: Callable[[], None] = lambda: None  # a voice was made or deleted here
    index: VoiceIndex = field(default_factory=VoiceIndex)
    clock: Callable[[], float] = time.monotonic
    changed_at: int = 0  # of the folder, when it was last read
    missing: dict[VoiceKey, float] = field(default_factory=dict)  # until when peers are not asked
    asking: dict[VoiceKey, asyncio.Task[bytes | None]] = field(default_factory=dict)
    presence: Presence | None = None  # None before the folder was looked at
    recorded_until: float = 0.0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)  # from the check of limits to the end of the write

    async def refresh(self) -> None:
        """Read what has changed in the folder, also by gateways that share it. Raises VoicesUnavailableError."""
        await self.read_folder()
        self.check_presence()

    @property
    def is_present(self) -> bool:
        """Whether the folder's voices may be believed: False after a long absence, until others have been asked."""
        return self.presence is None or self.presence.away_since is None

    def check_presence(self) -> None:
        """Raise VoicesUnavailableError while what is in the folder may have been deleted elsewhere."""
        if not self.is_present:
            raise VoicesUnavailableError(
                "this gateway was away for long, and compares its voices with the others first"
            )

    async def read_folder(self) -> None:
        """Read what has changed in the folder, whether it may be believed or not. Raises VoicesUnavailableError."""
        async with self.reading:
            if self.presence is None:
                now, found = now_microseconds(), await asyncio.to_thread(self.folder.presence)
                self.presence = returning(*found, now) if found is not None else Presence(now)
            changed_at = await asyncio.to_thread(self.folder.changed_at)
            if changed_at != self.changed_at:
                for header in await asyncio.to_thread(self.folder.changed_headers):
                    self.index.merge(header)
                # A later change within the same tick of the file system's clock has the same time: look again.
                is_settled = time.time_ns() - changed_at > SETTLED_NANOSECONDS
                self.changed_at = changed_at if is_settled else 0

    async def find(self, tenant: str, voice: str) -> VoiceHeader | None:
        """Return the voice that the tenant's requests may use under this id, from here or from a peer."""
        if not is_stored_id(voice):
            return None
        self.check_presence()
        found = self.index.find(tenant, voice)
        if found is not None:
            return found
        await self.refresh()
        for key in dict.fromkeys([(tenant, voice), (SHARED, voice)]):
            if (
                self.index.find(tenant, voice) is None and key not in self.index.headers
            ):  # a deleted one is not asked for
                await self._ask(key)
        return self.index.find(tenant, voice)

    async def read(self, tenant: str, voice: str) -> bytes | None:
        """Return the file of the voice that the tenant may use; None when there is none here or at a peer."""
        header = await self.find(tenant, voice)
        return await self.read_own(header.key) if header is not None else None

    async def read_own(self, key: VoiceKey) -> bytes | None:
        """Return a voice's file from the folder alone; a damaged one is fetched from a peer again."""
        known = self.index.headers.get(key)
        if not is_stored_id(key[1]) or (known is not None and known.is_deleted):
            return None
        try:
            return await asyncio.to_thread(self.folder.read, key)
        except VoiceFileError as error:
            log.warning("voice_damaged", voice=key[1], error=str(error))
            return await self._ask(key)

    async def check_room(self, key: VoiceKey, size: int) -> None:
        """Check the limits before work is done for a voice. Raises VoicesFullError, VoicesUnavailableError."""
        await self.refresh()
        self.index.check_room(key, size, self.limits)

    async def put(self, voice: StoredVoice) -> VoiceHeader:
        """Store a voice that was made here. Raises VoicesFullError, VoicesUnavailableError."""
        key = voice.header.key
        await self.refresh()
        async with self.writing:
            self.index.check_room(key, len(voice.payload), self.limits)
            known = self.index.headers.get(key)
            created_at = known.created_at if known is not None and not known.is_deleted else voice.header.created_at
            version = self.index.next_version(key, now_microseconds())
            header = voice.header.model_copy(update={"version": version, "created_at": created_at})
            await asyncio.to_thread(self.folder.write, StoredVoice(header, voice.payload))
            self.index.merge(header)
        self.missing.pop(key, None)
        self.on_change()
        return header

    async def settle(self, checked: VoiceHeader, result: CheckResult) -> None:
        """Keep a server's decision about a recording, unless the voice has changed meanwhile."""
        async with self.writing:
            if self.index.headers.get(checked.key) != checked:
                return
            data = await asyncio.to_thread(self.folder.read, checked.key)
            if data is None:
                return
            # The next version, not the time: a change of the voice made elsewhere meanwhile is later than this.
            header = result.applied_to(checked.model_copy(update={"version": checked.version + 1}))
            await asyncio.to_thread(self.folder.write, StoredVoice(header, parse(data, checked.key).payload))
            self.index.merge(header)
        self.on_change()

    async def delete(self, key: VoiceKey) -> bool:
        """Delete a tenant's own voice, here and at the peers; return whether it existed."""
        await self.find(*key)
        async with self.writing:
            known = self.index.headers.get(key)
            if known is None or known.is_deleted:
                return False
            tenant, voice = key
            version = self.index.next_version(key, now_microseconds())
            header = VoiceHeader(id=voice, tenant=tenant, version=version, is_deleted=True)
            await asyncio.to_thread(self.folder.delete, header)
            self.index.merge(header)
        self.on_change()
        return True

    async def receive(self, header: VoiceHeader, fetch: Callable[[VoiceKey], Awaitable[bytes | None]]) -> None:
        """Take over a peer's newer version of a voice. Raises VoicesUnavailableError, VoiceFileError."""
        if header.is_deleted:
            async with self.writing:
                await asyncio.to_thread(self.folder.delete, header)
                self.index.merge(header)
            return
        data = await fetch(header.key)
        if data is not None:
            await self._store(header.key, data)

    async def agree(self, theirs: Collection[VoiceKey], their_since: int) -> None:
        """Take over that a gateway, all of whose voices are here now, has missed no deletion since then."""
        presence = self.presence
        if presence is None or not their_since:
            return
        if presence.away_since is None:
            self.presence = presence.vouched(their_since)
        elif presence.may_believe(their_since):
            async with self.writing:
                gone = unconfirmed(self.index.headers.values(), theirs, presence.away_since)
                for header in gone:
                    await asyncio.to_thread(self.folder.forget, header)
                    self.index.forget(header)
            log.warning("voices_deleted_while_away", voices=len(gone))
            self.presence = presence.vouched(their_since)

    async def end_pass(self) -> None:
        """Record that this gateway was there, after a comparison with every gateway that responds."""
        if self.presence is not None:
            self.presence = self.presence.after_pass(now_microseconds())
            if self.presence.away_since is None and self.clock() >= self.recorded_until:
                await asyncio.to_thread(self.folder.record_presence, self.presence.since)
                self.recorded_until = self.clock() + RECORD_SECONDS

    async def forget_deletions(self) -> None:
        """Drop the records of deletions that every peer has learned of long ago."""
        for header in self.index.outdated(now_microseconds()):
            await asyncio.to_thread(self.folder.forget, header)
            self.index.forget(header)

    async def _ask(self, key: VoiceKey) -> bytes | None:
        """Fetch a voice from any peer, once for all requests that want it now, and store it."""
        if self.missing.get(key, 0.0) > self.clock():
            return None
        task = self.asking.get(key)
        if task is None:
            if len(self.asking) >= MAX_ASKING:
                raise VoicesUnavailableError(f"{MAX_ASKING} voices are being looked for at other gateways")
            task = self.asking[key] = asyncio.create_task(self._fetch(key))
            task.add_done_callback(lambda _: self.asking.pop(key, None))
        return await asyncio.shield(task)

    async def _fetch(self, key: VoiceKey) -> bytes | None:
        data = await self.ask_peers(key)
        if data is None:
            if len(self.missing) >= MAX_MISSING:
                self.missing.clear()
            self.missing[key] = self.clock() + MISSING_SECONDS
            return None
        try:
            await self._store(key, data)
        except VoiceFileError as error:
            log.warning("voice_of_peer_damaged", voice=key[1], error=str(error))
            return None
        return data

    async def _store(self, key: VoiceKey, data: bytes) -> None:
        voice = parse(data, key)
        async with self.writing:
            if self.index.newer([voice.header]):
                try:
                    await asyncio.to_thread(self.folder.write, voice)
                except VoicesUnavailableError as error:
                    # Not as VoicesFullError: the client that wants to use the voice stores nothing.
                    raise VoicesUnavailableError(f"the voice of another gateway cannot be stored: {error}") from error
                self.index.merge(voice.header)
