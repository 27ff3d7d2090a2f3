"""Polls GET /internal/load of every pod: once a second, and ten times a second until the pod is ready.

Knows: how often, with which token, which responses are usable. Does not know: what follows from a report.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import structlog

from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodState, ReceivedReport, parse_report
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import POD_POLL_FAILURES
from voxfleet_gateway.tokens import BEARER, pod_token

LOAD_PATH = "/internal/load"
AWAKE_PERIOD_SECONDS = 1.0
WAKING_PERIOD_SECONDS = 0.1  # a wake's last step: kubelet and EndpointSlice would report it seconds later
RESPONSE_SECONDS = 1.0  # one period: a pod slower than that counts as silent
MAX_REPORT_BYTES = 16 * 1024  # a report has about 500 bytes
SHORTEST_PAUSE_SECONDS = 0.02  # between two polls, however often attempts fail

log = structlog.get_logger(__name__)

PodKey = tuple[RegionKey, PodAddress]


def poll_period_seconds(pod: PodState, now_seconds: float) -> float:
    """Return the pause before the next poll: short while the pod may become ready at any moment."""
    if pod.endpoint.is_terminating or pod.state(now_seconds) in {"draining", "failed"}:
        return AWAKE_PERIOD_SECONDS
    steady = pod.is_servable(now_seconds) and pod.state(now_seconds) == "ready"
    return AWAKE_PERIOD_SECONDS if steady else WAKING_PERIOD_SECONDS


@dataclass(slots=True)
class LoadPoller:
    """One task per pod, started and stopped as pods come and go."""

    fleet: Fleet
    session: aiohttp.ClientSession
    internal_key: str
    clock: Callable[[], float] = time.monotonic
    tasks: dict[RegionKey, dict[PodAddress, asyncio.Task[None]]] = field(default_factory=dict)
    pauses: dict[PodKey, asyncio.Event] = field(default_factory=dict)

    def follow(self, key: RegionKey) -> None:
        """Start polling the region's new pods and stop polling those that are gone."""
        region = self.fleet.regions.get(key)
        wanted = {*region.pods} if region is not None else set()
        tasks = self.tasks.setdefault(key, {})
        for address in tasks.keys() - wanted:
            tasks.pop(address).cancel()
        for address in wanted - tasks.keys():
            tasks[address] = asyncio.create_task(self._poll(key, address), name=f"poll {address.ip}")
        if not tasks:
            del self.tasks[key]

    async def stop(self) -> None:
        """Cancel all polling and wait for its end."""
        tasks = [task for of_region in self.tasks.values() for task in of_region.values()]
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def poll_now(self, key: RegionKey, address: PodAddress) -> None:
        """End the pause before the next poll of a pod: its report decides whether it is sent requests again."""
        if (pause := self.pauses.get((key, address))) is not None:
            pause.set()

    async def _poll(self, key: RegionKey, address: PodAddress) -> None:
        pause = self.pauses[key, address] = asyncio.Event()
        try:
            while (pod := self._pod(key, address)) is not None:
                pause.clear()
                await self._poll_once(key, pod)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(poll_period_seconds(pod, self.clock())):
                        await pause.wait()
                await asyncio.sleep(SHORTEST_PAUSE_SECONDS)
        finally:
            if self.pauses.get((key, address)) is pause:
                del self.pauses[key, address]

    async def _poll_once(self, key: RegionKey, pod: PodState) -> None:
        try:
            received = await self._fetch(key, pod.address)
        except Exception:  # a pod's image is its author's: nothing that it sends may end the polling
            log.exception("pod_report_failed", pod=pod.address.ip)
            received = None
        if received is not None:
            self.fleet.record_report(key, pod.address, received)
            return
        POD_POLL_FAILURES.inc()
        self.fleet.record_silence(key, pod)

    def _pod(self, key: RegionKey, address: PodAddress) -> PodState | None:
        region = self.fleet.regions.get(key)
        return region.pods.get(address) if region else None

    async def _fetch(self, key: RegionKey, address: PodAddress) -> ReceivedReport | None:
        token = pod_token(self.internal_key, key.namespace, key.name)
        timeout = aiohttp.ClientTimeout(total=RESPONSE_SECONDS)
        url, headers = address.internal_url(LOAD_PATH), {"Authorization": BEARER + token}
        try:
            # Without redirects: the token must not reach another host.
            async with self.session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                return await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _read(self, response: aiohttp.ClientResponse) -> ReceivedReport | None:
        if response.status != 200:  # noqa: PLR2004
            log.debug("pod_report_refused", pod=response.url.host, status=response.status)
            return None
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > MAX_REPORT_BYTES:  # whatever length was declared
                response.close()
                return None
        try:
            return ReceivedReport(*parse_report(bytes(body)), self.clock())
        except ValueError:
            return None
