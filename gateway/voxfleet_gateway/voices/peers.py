"""Other gateways with the same voices: the sisters of this region, and gateways of other regions that are named.

Knows: how their addresses are found, the requests of port 9091, when lists are compared: on an interval, and at once
after a change. Does not know: which version of a voice holds (index.py), files.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp
import structlog
from pydantic import TypeAdapter, ValidationError

from voxfleet_gateway.errors import VoiceFileError, VoicesUnavailableError
from voxfleet_gateway.tokens import BEARER, gateway_token
from voxfleet_gateway.voices.file_format import MAX_FILE_BYTES, VoiceHeader, VoiceKey
from voxfleet_gateway.voices.repository import VoiceRepository

VOICES_PATH = "/internal/voices"
CHANGED_PATH = "/internal/voices/changed"
LIST_SECONDS = 10.0
FETCH_SECONDS = 10.0
MAX_LIST_BYTES = 64 * 2**20  # 100,000 voices
TENANT_HEADER = "Voxfleet-Tenant"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChangeList:
    """What changed in one process after a change that its reader names: everything for a reader of another process."""

    process: str = ""
    last_change: int = 0
    voices: list[VoiceHeader] = field(default_factory=list)


CHANGE_LIST = TypeAdapter(ChangeList)


@dataclass(slots=True)
class VoicePeers:
    """The peers, by their names; each name may stand for several addresses."""

    session: aiohttp.ClientSession
    names: tuple[str, ...]  # host:port
    internal_key: str
    interval_seconds: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    announcing: set[asyncio.Task[None]] = field(default_factory=set)
    read: dict[str, "ChangeList"] = field(default_factory=dict)  # the list that was last taken over whole, by address

    async def ask(self, key: VoiceKey) -> bytes | None:
        """Return a voice's file from the first peer that has it."""
        fetches = [asyncio.create_task(self.fetch(address, key)) for address in await self._addresses()]
        try:
            for fetched in asyncio.as_completed(fetches):
                if (data := await fetched) is not None:
                    return data
        finally:
            for task in fetches:
                task.cancel()
            await asyncio.gather(*fetches, return_exceptions=True)
        return None

    async def fetch(self, address: str, key: VoiceKey) -> bytes | None:
        """Return a voice's file from one peer; None when it has none or does not respond."""
        tenant, voice = key
        headers = self._headers | {TENANT_HEADER: tenant}
        async with self._get(address, f"{VOICES_PATH}/{voice}", headers, FETCH_SECONDS) as response:
            return await _bounded(response, MAX_FILE_BYTES) if response is not None and response.status == 200 else None  # noqa: PLR2004

    def announce(self) -> None:
        """Let every peer compare lists now, because something changed here."""
        task = asyncio.create_task(self._announce())
        self.announcing.add(task)
        task.add_done_callback(self.announcing.discard)

    async def follow(self, repository: VoiceRepository) -> None:
        """Compare lists with every peer until cancelled."""
        while True:
            self.changed.clear()
            try:
                await repository.refresh()
                for address in await self._addresses():
                    await self._compare(address, repository)
                await repository.forget_deletions()
            except VoicesUnavailableError as error:
                log.warning("voices_not_compared", error=str(error))
            except Exception:  # whatever one comparison meets, the next one is made
                log.exception("voices_not_compared")
            try:
                async with asyncio.timeout(self.interval_seconds):
                    await self.changed.wait()
            except TimeoutError:
                continue

    async def _compare(self, address: str, repository: VoiceRepository) -> None:
        known = self.read.get(address, ChangeList())
        path = f"{VOICES_PATH}?process={known.process}&after={known.last_change}"
        async with self._get(address, path, self._headers, LIST_SECONDS) as response:
            body = await _bounded(response, MAX_LIST_BYTES) if response is not None and response.status == 200 else None  # noqa: PLR2004
        if body is None:
            return
        try:
            theirs = CHANGE_LIST.validate_json(body)
        except ValidationError as error:
            log.warning("voices_of_peer_invalid", peer=address, errors=error.error_count())
            return
        if await self._receive(address, repository, theirs.voices):
            self.read[address] = replace(theirs, voices=[])

    async def _receive(self, address: str, repository: VoiceRepository, theirs: Iterable[VoiceHeader]) -> bool:
        """Take over what is newer; return whether all of it was."""
        is_complete = True
        for header in repository.index.newer(theirs):
            try:
                await repository.receive(header, lambda key: self.fetch(address, key))
            except (VoicesUnavailableError, VoiceFileError) as error:
                is_complete = False
                log.warning("voice_not_received", voice=header.id, peer=address, error=str(error))
        return is_complete and not repository.index.newer(theirs)

    async def _announce(self) -> None:
        await asyncio.gather(*(self._send_changed(address) for address in await self._addresses()))

    async def _send_changed(self, address: str) -> None:
        timeout = aiohttp.ClientTimeout(total=LIST_SECONDS)
        try:
            async with self.session.post(
                f"http://{address}{CHANGED_PATH}", headers=self._headers, timeout=timeout, allow_redirects=False
            ):
                return
        except (aiohttp.ClientError, TimeoutError, OSError):
            return  # it compares lists on its own interval

    @asynccontextmanager
    async def _get(
        self, address: str, path: str, headers: dict[str, str], seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse | None]:
        """Yield the response, or None without one; an interrupted body ends the context silently too."""
        url, timeout = f"http://{address}{path}", aiohttp.ClientTimeout(total=seconds)
        try:
            response = await self.session.get(url, headers=headers, timeout=timeout, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError):
            yield None
            return
        async with response:
            yield response

    async def _addresses(self) -> list[str]:
        """Return the addresses behind all names, as they are now; this gateway's own may be among them."""
        loop = asyncio.get_running_loop()
        found: dict[str, None] = {}
        for name in self.names:
            host, _, port = name.rpartition(":")
            try:
                rows = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            except OSError:
                continue  # no replica is ready
            ips = (row[4][0] for row in rows)
            found |= {f"[{ip}]:{port}" if ":" in str(ip) else f"{ip}:{port}": None for ip in ips}
        return list(found)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": BEARER + gateway_token(self.internal_key)}


async def _bounded(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes | None:
    """Return the body; None when it breaks off or is larger than the limit."""
    body = bytearray()
    try:
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > limit_bytes:
                response.close()
                return None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return bytes(body)
