"""Polls GET /internal/load of every pod: once a second, and ten times a second until the pod is ready.

Knows: how often, with which token, which responses are usable. Does not know: what follows from a report.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import structlog
from pydantic import TypeAdapter, ValidationError

from voxfleet_gateway.decisions.pod_state import LoadReport, PodAddress, PodState, ReceivedReport
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import POD_POLL_FAILURES
from voxfleet_gateway.tokens import BEARER, pod_token

LOAD_PATH = "/internal/load"
AWAKE_PERIOD_SECONDS = 1.0
WAKING_PERIOD_SECONDS = 0.1  # a wake's last step: kubelet and EndpointSlice would report it seconds later
RESPONSE_SECONDS = 1.0  # one period: a pod slower than that counts as silent
MAX_REPORT_BYTES = 64 * 1024  # a report has about 500 bytes

log = structlog.get_logger(__name__)

PodKey = tuple[RegionKey, PodAddress]

_REPORT_FORM = TypeAdapter(LoadReport)  # fields that are unknown here are ignored


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
    tasks: dict[PodKey, asyncio.Task[None]] = field(default_factory=dict)

    def follow_fleet(self) -> None:
        """Start polling new pods and stop polling those that are gone."""
        wanted = {(key, address) for key, region in self.fleet.regions.items() for address in region.pods}
        for pod_key in self.tasks.keys() - wanted:
            self.tasks.pop(pod_key).cancel()
        for pod_key in wanted - self.tasks.keys():
            self.tasks[pod_key] = asyncio.create_task(self._poll(*pod_key), name=f"poll {pod_key[1].ip}")

    async def stop(self) -> None:
        """Cancel all polling and wait for its end."""
        tasks = [*self.tasks.values()]
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, key: RegionKey, address: PodAddress) -> None:
        while (pod := self._pod(key, address)) is not None:
            received = await self._fetch(key, address)
            if received is None:
                POD_POLL_FAILURES.inc()
            else:
                self.fleet.record_report(key, address, received)
            await asyncio.sleep(poll_period_seconds(pod, self.clock()))

    def _pod(self, key: RegionKey, address: PodAddress) -> PodState | None:
        region = self.fleet.regions.get(key)
        return region.pods.get(address) if region else None

    async def _fetch(self, key: RegionKey, address: PodAddress) -> ReceivedReport | None:
        token = pod_token(self.internal_key, key.namespace, key.name)
        timeout = aiohttp.ClientTimeout(total=RESPONSE_SECONDS)
        try:
            async with self.session.get(
                address.internal_url(LOAD_PATH), headers={"Authorization": BEARER + token}, timeout=timeout
            ) as response:
                return await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    async def _read(self, response: aiohttp.ClientResponse) -> ReceivedReport | None:
        if response.status != 200:  # noqa: PLR2004
            log.debug("pod_report_refused", pod=response.url.host, status=response.status)
            return None
        if (response.content_length or 0) > MAX_REPORT_BYTES:
            return None
        raw = await response.json()
        try:
            return ReceivedReport(_REPORT_FORM.validate_python(raw), raw, self.clock())
        except ValidationError:
            return None
