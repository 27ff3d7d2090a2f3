"""A held request of a gateway that shuts down, handed to another gateway of its region: held and served there.

Knows: that each request is handed over once, that its client's connection stays here, and what the other gateway must
know of it. Does not know: HTTP servers; how the other gateways are found.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import aiohttp

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.client_location import COUNTRY_HEADER, LOCATION_HEADER
from voxfleet_gateway.decisions.hold.tickets import Ticket
from voxfleet_gateway.decisions.pods.ejection import FIRST_BYTE_SECONDS
from voxfleet_gateway.decisions.pods.pod_state import PodAddress
from voxfleet_gateway.decisions.pods.stream_silence import StreamSilence
from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.peers.headers import HOPS_HEADER, PRIORITY_HEADER, TENANT_HEADER
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.telemetry import HANDOVERS
from voxfleet_gateway.tokens import BEARER

HANDOVER_PATH = "/internal/handover"
MODEL_HEADER, HOLD_HEADER = "Voxfleet-Model", "Voxfleet-Hold-Seconds"


@dataclass(slots=True)
class Handover:
    """Whether requests are handed over, to which gateways, and how many of them are open."""

    peers: Callable[[], Sequence[PodAddress]] = tuple
    token: str = ""
    is_active: bool = False
    open_requests: int = 0
    timers: set[asyncio.Timeout] = field(default_factory=set)  # of requests that wait for their first byte
    turns: Iterator[int] = field(default_factory=itertools.count)

    def target(self, key: RegionKey, model: ModelEntry, asked: RouteRequest, ticket: Ticket) -> "PeerTarget | None":
        """Return another gateway for this request, each in turn; None while none is needed, or there is none."""
        peers = self.peers() if self.is_active else ()
        if not peers:
            return None
        HANDOVERS.labels("sent").inc()
        return PeerTarget(key, model, peers[next(self.turns) % len(peers)], asked, ticket.deadline_seconds, self)

    def end(self) -> None:
        """End what waits for its first byte elsewhere: this process has no more time for it."""
        self.is_active = False
        now_seconds = asyncio.get_running_loop().time()
        for timer in self.timers:
            timer.reschedule(now_seconds)


@dataclass(frozen=True, slots=True)
class PeerTarget:
    """Another gateway of the region, for the one attempt that holds the request there."""

    is_here: ClassVar[bool] = True
    key: RegionKey
    model: ModelEntry
    address: PodAddress
    asked: RouteRequest
    deadline_seconds: float
    handover: Handover

    def url(self, _path: str) -> str:
        """Return the URL that the request is sent to."""
        return self.address.internal_url(HANDOVER_PATH)

    def session(self, of_cluster: aiohttp.ClientSession) -> aiohttp.ClientSession:
        """Return the session of the cluster."""
        return of_cluster

    def identity(self, caller: Caller) -> dict[str, str]:
        """Return the gateways' token, and what this gateway has found out about the request."""
        headers = {
            "Authorization": BEARER + self.handover.token,
            MODEL_HEADER: self.model.full_name,
            HOLD_HEADER: f"{max(0.0, self.deadline_seconds - time.monotonic()):.3f}",
            TENANT_HEADER: caller.tenant,
            PRIORITY_HEADER: str(caller.priority),
            HOPS_HEADER: str(1 - self.asked.hops_left),
        }
        if self.asked.client is not None:
            headers[LOCATION_HEADER] = f"{self.asked.client.latitude},{self.asked.client.longitude}"
        if self.asked.client_country is not None:
            headers[COUNTRY_HEADER] = self.asked.client_country
        return headers

    @contextmanager
    def sending(self, *, is_measured: bool = True) -> Iterator[None]:  # noqa: ARG002  # the other gateway measures
        """Count the request as open while the context lasts; the other gateway keeps the region's Lease renewed."""
        self.handover.open_requests += 1
        try:
            yield
        finally:
            self.handover.open_requests -= 1

    @asynccontextmanager
    async def first_byte(self, hold_left_seconds: float) -> AsyncIterator[None]:
        """Time the attempt: the other gateway answers at the deadline, or when a pod has sent its first byte."""
        limit_seconds = max(0.0, hold_left_seconds) + 2 * FIRST_BYTE_SECONDS
        timer = asyncio.timeout(limit_seconds)
        self.handover.timers.add(timer)
        try:
            async with timer:
                yield
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise UpstreamFailedError(UpstreamFailure.LOST, "the gateway that held it had no answer in time") from error
        finally:
            self.handover.timers.discard(timer)

    def silence(self) -> StreamSilence:
        """Return the bound on a stream's silence; the other gateway cuts what its pod has left."""
        return StreamSilence(None)

    def record_failure(self, failure: UpstreamFailure) -> None:
        """Count it: the request is held here again, and is not handed over a second time."""
        HANDOVERS.labels(f"failed_{failure.value}").inc()
