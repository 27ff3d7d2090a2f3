"""The attempts that wait for their first byte, by pod: each ends in time, or at once when its pod is gone.

Knows: timers. Does not know: HTTP; when a pod counts as gone (fleet.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from voxfleet_gateway.decisions.pods.pod_state import PodState
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure


@dataclass(slots=True)
class Attempts:
    """One timer per attempt without a byte."""

    timers: dict[int, tuple[PodState, set[asyncio.Timeout]]] = field(default_factory=dict)  # by the pod's id()

    @asynccontextmanager
    async def first_byte(self, pod: PodState, limit_seconds: float) -> AsyncIterator[None]:
        """Count an attempt as unanswered; raises UpstreamFailedError after the limit, or when the pod is gone."""
        timer = asyncio.timeout(limit_seconds)
        _, timers = self.timers.setdefault(id(pod), (pod, set()))
        timers.add(timer)
        pod.unanswered += 1
        try:
            async with timer:
                yield
        except TimeoutError as error:
            if not timer.expired():
                raise
            is_lost = timer not in timers
            failure = UpstreamFailure.LOST if is_lost else UpstreamFailure.TIMEOUT
            reason = "the pod stopped reporting" if is_lost else f"no byte within {limit_seconds:.1f} s"
            raise UpstreamFailedError(failure, reason) from error
        finally:
            pod.unanswered -= 1
            timers.discard(timer)
            if not timers and self.timers.get(id(pod), (None, None))[1] is timers:
                del self.timers[id(pod)]

    def give_up(self, pod: PodState) -> int:
        """End every attempt that waits for the pod's first byte; return how many there were."""
        _, timers = self.timers.pop(id(pod), (pod, set()))
        now_seconds = asyncio.get_running_loop().time() if timers else 0.0
        for timer in timers:
            timer.reschedule(now_seconds)
        count = len(timers)
        timers.clear()  # what is no longer here was given up
        return count
