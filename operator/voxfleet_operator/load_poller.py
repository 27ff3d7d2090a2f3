"""Asks every gateway replica for its load while something is awake.

Knows HTTP and the token. Keeps the newest reading of each replica, and why one could not be had. Does not know what
the figures mean (decisions/load.py).
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

import aiohttp
import structlog
from pydantic import ValidationError

from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.parsing import GatewayAddress
from voxfleet_operator.decisions.load import GatewayLoad, Reading, Readings

ANSWER_SECONDS = 2.0
LARGEST_ANSWER_BYTES = 8 * 2**20

log = structlog.get_logger(__name__)


def gateway_token(internal_key: str) -> str:
    """What gateways expect from the operator."""
    return hmac.new(internal_key.encode(), b"gateway", sha256).hexdigest()


@dataclass(slots=True)
class LoadPoller:
    """Reads all gateways, again and again."""

    session: aiohttp.ClientSession
    observer: Observer
    token: str
    poll_seconds: float
    clock: Callable[[], float] = time.time
    newest: dict[GatewayAddress, Reading] = field(default_factory=dict)

    async def read_for_ever(self) -> None:
        """Only while something is awake; whoever is awake is then looked at again."""
        store = self.observer.store
        while True:
            awake = store.awake_keys()
            if awake:
                await self.read_all(store.gateways)
            for key in awake:
                store.call(key)
            await asyncio.sleep(self.poll_seconds)

    async def read_all(self, gateways: frozenset[GatewayAddress]) -> None:
        """One round; replicas that are gone are forgotten."""
        await asyncio.gather(*(self._read(gateway) for gateway in gateways))
        self.newest = {gateway: reading for gateway, reading in self.newest.items() if gateway in gateways}
        self.observer.readings = Readings(tuple(self.newest.values()))

    async def _read(self, gateway: GatewayAddress) -> None:
        url = f"http://{_host(gateway.address)}:{gateway.port}/internal/load"
        try:
            answer = await self._ask(url)
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            text = str(error) or type(error).__name__
            before = self.newest.get(gateway, Reading(gateway.address))
            self.newest[gateway] = Reading(gateway.address, before.received_at, before.answer, text)
            log.warning("gateway does not tell its load", url=url, error=text)
            return
        self.newest[gateway] = Reading(gateway.address, self.clock(), answer)

    async def _ask(self, url: str) -> GatewayLoad:
        headers = {"Authorization": f"Bearer {self.token}"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with self.session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            response.raise_for_status()
            body = await response.content.read(LARGEST_ANSWER_BYTES)
            while not response.content.at_eof() and len(body) < LARGEST_ANSWER_BYTES:
                body += await response.content.read(LARGEST_ANSWER_BYTES - len(body))
            return GatewayLoad.model_validate_json(body)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
