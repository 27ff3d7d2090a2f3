"""Asks every pod for its /internal/load: every second, and ten times a second until it is ready.

Knows: how often, with which token, what a usable answer is. Does not know: what is made of the answers.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import structlog
from pydantic import ValidationError

from voxfleet_gateway.cluster.endpoint_watch import PodAddress
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_report import LoadReport, PodRecord, ReceivedReport
from voxfleet_gateway.regions import RegionKey
from voxfleet_gateway.telemetry import POD_POLL_FAILURES
from voxfleet_gateway.tokens import BEARER, pod_token

LOAD_PATH = "/internal/load"
AWAKE_PERIOD_SECONDS = 1.0
WAKING_PERIOD_SECONDS = 0.1
ANSWER_SECONDS = 1.0
MAX_REPORT_BYTES = 64 * 1024

log = structlog.get_logger(__name__)

PodKey = tuple[RegionKey, PodAddress]


def poll_period_seconds(pod: PodRecord, now_seconds: float) -> float:
    """Fast while a pod may become ready at any moment, slow otherwise."""
    if pod.endpoint.terminating or pod.state(now_seconds) in {"draining", "failed"}:
        return AWAKE_PERIOD_SECONDS
    steady = pod.servable(now_seconds) and pod.state(now_seconds) == "ready"
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
        wanted = {(key, address) for key, pods in self.fleet.pods.items() for address in pods}
        for pod_key in self.tasks.keys() - wanted:
            self.tasks.pop(pod_key).cancel()
        for pod_key in wanted - self.tasks.keys():
            self.tasks[pod_key] = asyncio.create_task(self._poll(*pod_key), name=f"poll {pod_key[1].ip}")

    async def stop(self) -> None:
        """End all polling."""
        tasks = [*self.tasks.values()]
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, key: RegionKey, address: PodAddress) -> None:
        while (pod := self.fleet.pods.get(key, {}).get(address)) is not None:
            received = await self._ask(key, address)
            if received is None:
                POD_POLL_FAILURES.inc()
            else:
                self.fleet.reported(key, address, received)
            await asyncio.sleep(poll_period_seconds(pod, self.clock()))

    async def _ask(self, key: RegionKey, address: PodAddress) -> ReceivedReport | None:
        token = pod_token(self.internal_key, key.namespace, key.name)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self.session.get(
                address.internal_url(LOAD_PATH), headers={"Authorization": BEARER + token}, timeout=timeout
            ) as answer:
                return await self._read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    async def _read(self, answer: aiohttp.ClientResponse) -> ReceivedReport | None:
        if answer.status != 200:  # noqa: PLR2004
            log.debug("pod_report_refused", pod=answer.url.host, status=answer.status)
            return None
        if (answer.content_length or 0) > MAX_REPORT_BYTES:
            return None
        raw = await answer.json()
        try:
            return ReceivedReport(LoadReport.model_validate(raw), raw, self.clock())
        except ValidationError:
            return None
