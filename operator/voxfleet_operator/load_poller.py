"""Polls every gateway replica for its load while a region is awake.

Knows HTTP and the token. Keeps the newest answer of each replica, or the error of the newest attempt. Does not know
what the figures mean (decisions/load.py).
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
from voxfleet_operator.cluster.pod_drainer import url_host
from voxfleet_operator.cluster.store import GatewayAddress
from voxfleet_operator.decisions.load import GatewayLoad, Reading, Readings

REQUEST_SECONDS = 2.0  # below the shortest useful poll interval, and far below the 15 s of a stale reading
LARGEST_ANSWER_BYTES = 8 * 2**20  # about 20,000 rows of pods

log = structlog.get_logger(__name__)


def gateway_token(internal_key: str) -> str:
    """Return the bearer token that gateways expect from the operator."""
    return hmac.new(internal_key.encode(), b"gateway", sha256).hexdigest()


@dataclass(slots=True)
class LoadPoller:
    """Polls all gateways every `poll_seconds`."""

    session: aiohttp.ClientSession
    observer: Observer
    token: str
    poll_seconds: float
    clock: Callable[[], float] = time.time
    newest: dict[GatewayAddress, Reading] = field(default_factory=dict)

    async def run(self) -> None:
        """Poll without end while a resource is awake, and enqueue the awake resources after each round."""
        store = self.observer.store
        while True:
            awake = store.awake_keys()
            if awake:
                await self.poll_all(store.gateways)
            for key in awake:
                store.enqueue(key)
            await asyncio.sleep(self.poll_seconds)

    async def poll_all(self, gateways: frozenset[GatewayAddress]) -> None:
        """Poll each gateway once; drop the readings of replicas that are gone."""
        await asyncio.gather(*(self._poll(gateway) for gateway in gateways))
        self.newest = {gateway: reading for gateway, reading in self.newest.items() if gateway in gateways}
        self.observer.readings = Readings(tuple(self.newest.values()))

    async def _poll(self, gateway: GatewayAddress) -> None:
        url = f"http://{url_host(gateway.address)}:{gateway.port}/internal/load"
        try:
            answer = await self._get(url)
        except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
            text = str(error) or type(error).__name__
            # The last answer stays until it is stale: one lost request does not make the load unknown.
            before = self.newest.get(gateway, Reading(gateway.address))
            self.newest[gateway] = Reading(gateway.address, before.received_at, before.answer, text)
            log.warning("gateway load not read", url=url, error=text)
            return
        self.newest[gateway] = Reading(gateway.address, self.clock(), answer)

    async def _get(self, url: str) -> GatewayLoad:
        headers = {"Authorization": f"Bearer {self.token}"}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        # Without redirects: the token must not reach another host.
        async with self.session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            response.raise_for_status()
            body = await response.content.read(LARGEST_ANSWER_BYTES)
            while not response.content.at_eof() and len(body) < LARGEST_ANSWER_BYTES:
                body += await response.content.read(LARGEST_ANSWER_BYTES - len(body))
            return GatewayLoad.model_validate_json(body)
