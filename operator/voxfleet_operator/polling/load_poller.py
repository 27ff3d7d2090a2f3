"""Polls every gateway replica for its load while a region is awake.

Keeps the newest answer of each replica, or the error of the newest attempt. Knows HTTP and the token, for gateways of
the operator's own cluster; those of a remote one are read through its API server (remote/pod_proxy.py). Does not know
what the figures mean (decisions/demand/load.py).
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256

import aiohttp
import structlog
from pydantic import ValidationError

from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.store import GatewayAddress
from voxfleet_operator.cluster.writing.pod_drainer import url_host
from voxfleet_operator.decisions.demand.load import GatewayLoad, Reading, Readings

REQUEST_SECONDS = 2.0  # below the shortest useful poll interval, and far below the 15 s of a stale reading
LARGEST_ANSWER_BYTES = 8 * 2**20  # about 20,000 rows of pods

UNREAD = (aiohttp.ClientError, TimeoutError, ValidationError, KubernetesError)

log = structlog.get_logger(__name__)


def gateway_token(internal_key: str) -> str:
    """Return the bearer token that gateways expect from the operator."""
    return hmac.new(internal_key.encode(), b"gateway", sha256).hexdigest()


@dataclass(slots=True)
class LoadPoller:
    """Polls all gateways every `poll_seconds`; `read` returns the answer of one, or raises one of UNREAD."""

    read: Callable[[GatewayAddress], Awaitable[bytes]]
    observer: Observer
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
        try:
            answer = GatewayLoad.model_validate_json(await self.read(gateway))
        except UNREAD as error:
            text = str(error) or type(error).__name__
            # The last answer stays until it is stale: one lost request does not make the load unknown.
            before = self.newest.get(gateway, Reading(gateway.address))
            self.newest[gateway] = Reading(gateway.address, before.received_at, before.answer, text)
            log.warning("gateway load not read", gateway=gateway.pod or gateway.address, error=text)
            return
        self.newest[gateway] = Reading(gateway.address, self.clock(), answer)


@dataclass(frozen=True, slots=True)
class DirectReader:
    """Reads the load of a gateway at its pod's address."""

    session: aiohttp.ClientSession
    token: str

    async def read(self, gateway: GatewayAddress) -> bytes:
        """Return the answer. Raises aiohttp.ClientError or TimeoutError."""
        url = f"http://{url_host(gateway.address)}:{gateway.port}/internal/load"
        headers = {"Authorization": f"Bearer {self.token}"}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        # Without redirects: the token must not reach another host.
        async with self.session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
            response.raise_for_status()
            body = await response.content.read(LARGEST_ANSWER_BYTES)
            while not response.content.at_eof() and len(body) < LARGEST_ANSWER_BYTES:
                body += await response.content.read(LARGEST_ANSWER_BYTES - len(body))
            return body
