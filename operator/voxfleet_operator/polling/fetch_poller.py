"""Reads how far the pods are that fetch weights, while there are any.

Knows the fetcher's port. The answer needs no token: it is the size of the weights, and how much is there. Does not
know what a fetch is for (decisions/weights/fetches.py).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from voxfleet_operator.cluster.api import KubernetesError
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.writing.pod_drainer import url_host
from voxfleet_operator.decisions.observed import FetchProgress, PodState
from voxfleet_operator.manifests.pods.containers import INTERNAL_PORT

REQUEST_SECONDS = 2.0
LONGEST_ANSWER_BYTES = 1024


class ProgressAnswer(BaseModel):
    """What a fetcher answers."""

    present_bytes: int = Field(ge=0)
    total_bytes: int = Field(ge=0)


@dataclass(slots=True)
class FetchPoller:
    """Reads the progress of every fetching pod, every `poll_seconds`; `read` returns the answer of one pod."""

    read: Callable[[PodState], Awaitable[bytes]]
    observer: Observer
    poll_seconds: float

    async def run(self) -> None:
        """Poll without end; a changed progress enqueues its resource, whose status is written when it is due."""
        while True:
            pods = self.observer.store.fetching_pods()
            answers = await asyncio.gather(*(self._poll(pod) for pod in pods.values()))
            before, self.observer.progress = (
                self.observer.progress,
                {
                    (pod.namespace, pod.name): progress
                    for pod, progress in zip(pods.values(), answers, strict=True)
                    if progress is not None
                },
            )
            for ref, pod in pods.items():
                place = (pod.namespace, pod.name)
                if self.observer.progress.get(place) != before.get(place):
                    self.observer.store.enqueue(self.observer.store.owners[ref])
            await asyncio.sleep(self.poll_seconds)

    async def _poll(self, pod: PodState) -> FetchProgress | None:
        try:
            answer = ProgressAnswer.model_validate_json(await self.read(pod))
        except (aiohttp.ClientError, TimeoutError, ValidationError, KubernetesError):
            return None  # the pod begins or ends, or is not reachable from here: the message is shorter then
        return FetchProgress(answer.present_bytes, answer.total_bytes)


@dataclass(frozen=True, slots=True)
class DirectProgressReader:
    """Reads the progress at the pod's address."""

    session: aiohttp.ClientSession

    async def read(self, pod: PodState) -> bytes:
        """Return the answer. Raises aiohttp.ClientError or TimeoutError."""
        url = f"http://{url_host(pod.address)}:{INTERNAL_PORT}/internal/progress"
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with self.session.get(url, timeout=timeout, allow_redirects=False) as response:
            return await response.content.read(LONGEST_ANSWER_BYTES)
