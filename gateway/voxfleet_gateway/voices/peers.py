"""Keeps the voices of gateways equal: the others of this region's cluster, and those of other regions.

Knows: the requests, when lists are compared (on an interval, and at once after a change), that what was received is
announced further, so that a change goes round behind addresses that stand for several gateways.
Does not know: how a gateway is reached (sources.py), which version of a voice holds (index.py), files.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import structlog
from pydantic import TypeAdapter, ValidationError

from voxfleet_gateway.errors import VoiceFileError, VoicesUnavailableError
from voxfleet_gateway.voices.file_format import MAX_FILE_BYTES, MAX_HEADER_BYTES, VoiceHeader, VoiceKey
from voxfleet_gateway.voices.repository import VoiceRepository
from voxfleet_gateway.voices.sources import Source, Sources

VOICES_PATH = "/internal/voices"
CHANGED_PATH = "/internal/voices/changed"
LIST_SECONDS = 10.0
FETCH_SECONDS = 10.0
ASK_SECONDS = 3.0  # of another region, while a request waits
MAX_FETCHES = 8  # at once, of one gateway's: each is up to 10 MiB in memory, and a region away takes 0.2 s
PAGE_VOICES = 1000  # of one list: reading it takes 20 ms, in which no stream goes on
MAX_LIST_BYTES = PAGE_VOICES * MAX_HEADER_BYTES
MAX_PAGES = 1000
TENANT_HEADER = "Voxfleet-Tenant"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChangeList:
    """What changed in one process after a change that its reader names: everything for a reader of another process.

    Nothing for a reader with the same digest.
    """

    process: str = ""
    last_change: int = 0
    voices: list[VoiceHeader] = field(default_factory=list)  # at most PAGE_VOICES; the rest has changed after them
    is_first: bool = False  # of all that there is
    is_last: bool = True
    since: int = 0  # microseconds; the gateway has missed no deletion since then; 0: it does not say


CHANGE_LIST = TypeAdapter(ChangeList)


@dataclass(slots=True)
class VoicePeers:
    """The peers, found anew for each request."""

    sources: Sources
    interval_seconds: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    announcing: set[asyncio.Task[None]] = field(default_factory=set)
    read: dict[str, "ChangeList"] = field(default_factory=dict)  # the list that was last taken over whole, by name

    async def ask(self, key: VoiceKey) -> bytes | None:
        """Return a voice's file from the first peer that has it."""
        fetches = [
            asyncio.create_task(fetch(source, key, ASK_SECONDS if source.is_elsewhere else FETCH_SECONDS))
            for source in await self.sources.find()
        ]
        try:
            for fetched in asyncio.as_completed(fetches):
                if (data := await fetched) is not None:
                    return data
        finally:
            for task in fetches:
                task.cancel()
            await asyncio.gather(*fetches, return_exceptions=True)
        return None

    def announce(self) -> None:
        """Let every peer compare lists now, because something changed here."""
        task = asyncio.create_task(self._announce())
        self.announcing.add(task)
        task.add_done_callback(self.announcing.discard)

    async def follow(self, repository: VoiceRepository) -> None:
        """Compare lists with every peer until cancelled."""
        while True:
            self.changed.clear()
            before = repository.index.last_change
            try:
                await repository.read_folder()
                for source in await self.sources.find():
                    await self._compare(source, repository)
                await repository.forget_deletions()
                await repository.end_pass()
            except VoicesUnavailableError as error:
                log.warning("voices_not_compared", error=str(error))
            except Exception:  # whatever one comparison meets, the next one is made
                log.exception("voices_not_compared")
            if repository.index.last_change != before:
                self.announce()  # ends: a change is new to each gateway once
            try:
                async with asyncio.timeout(self.interval_seconds):
                    await self.changed.wait()
            except TimeoutError:
                continue

    async def _compare(self, source: Source, repository: VoiceRepository) -> None:
        """Take over what has changed at a peer, page by page."""
        known, listed, is_whole, is_complete = self.read.get(source.name, ChangeList()), set[VoiceKey](), False, True
        for _ in range(MAX_PAGES):
            theirs = await self._list(source, known, repository)
            if theirs is None:
                return
            if theirs.is_first:  # also when another process responds, behind the same address
                listed, is_whole = set(), True
            listed |= {each.key for each in theirs.voices}
            is_complete &= await self._receive(source, repository, theirs.voices)
            known = replace(theirs, voices=[])
            if theirs.is_last:
                break
        if is_complete:
            self.read[source.name] = known
            if is_whole:
                await repository.agree(listed, known.since)

    async def _list(self, source: Source, known: ChangeList, repository: VoiceRepository) -> ChangeList | None:
        # After a long absence the whole list is needed, to learn what was deleted.
        digest = repository.index.digest() if repository.is_present else ""
        path = f"{VOICES_PATH}?process={known.process}&after={known.last_change}&digest={digest}"
        body = await source.get(path, LIST_SECONDS, MAX_LIST_BYTES)
        if body is None:
            return None
        try:
            return CHANGE_LIST.validate_json(body)
        except ValidationError as error:
            log.warning("voices_of_peer_invalid", peer=source.name, errors=error.error_count())
            return None

    async def _receive(self, source: Source, repository: VoiceRepository, theirs: Iterable[VoiceHeader]) -> bool:
        """Take over what is newer; return whether all of it was."""
        places = asyncio.Semaphore(MAX_FETCHES)

        async def received(header: VoiceHeader) -> bool:
            async with places:
                try:
                    await repository.receive(header, lambda key: fetch(source, key, FETCH_SECONDS))
                except (VoicesUnavailableError, VoiceFileError) as error:
                    log.warning("voice_not_received", voice=header.id, peer=source.name, error=str(error))
                    return False
            return True

        results = await asyncio.gather(*(received(header) for header in repository.index.newer(theirs)))
        return all(results) and not repository.index.newer(theirs)

    async def _announce(self) -> None:
        sources = await self.sources.find()
        await asyncio.gather(*(source.notify(CHANGED_PATH, LIST_SECONDS) for source in sources))


async def fetch(source: Source, key: VoiceKey, seconds: float) -> bytes | None:
    """Return a voice's file from one gateway; None when it has none or does not respond."""
    tenant, voice = key
    return await source.get(f"{VOICES_PATH}/{voice}", seconds, MAX_FILE_BYTES, **{TENANT_HEADER: tenant})
