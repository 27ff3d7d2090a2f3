"""A request that the gateway of another region serves: the target of one attempt there, and wakes there.

Knows: what the peer is sent about the request; that the peer counts it and renews the region's Lease; when an attempt
is given up. Does not know: HTTP servers; why the region was chosen (decisions/routing.py).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import quote

import aiohttp
import structlog

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.pods.ejection import FIRST_BYTE_SECONDS, first_byte_limit_seconds
from voxfleet_gateway.decisions.pods.stream_silence import StreamSilence
from voxfleet_gateway.decisions.record import DecisionRecord
from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.errors import UpstreamFailedError, UpstreamFailure
from voxfleet_gateway.peers.client import PeerClient, RegionSession
from voxfleet_gateway.peers.headers import spill_headers
from voxfleet_gateway.peers.remote_regions import Peer, RemoteRegions
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.telemetry import PEER_FAILURES, SPILLS

WAKE_SECONDS = 5.0  # for the response to a wake or a sleep
MOST_RESPONSE_BYTES = 4096

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Spills:
    """Makes the targets; shared by all requests of this gateway."""

    regions: RemoteRegions
    client: PeerClient
    waking: set[asyncio.Task[None]] = field(default_factory=set)

    def target(
        self,
        key: RegionKey,
        model: ModelEntry,
        decided: DecisionRecord,
        deadline_seconds: float,
    ) -> "SpillTarget | None":
        """Return the peer for an attempt; None while it takes no requests, and the request is held here."""
        peer, state = self.regions.peer_of.get(key), self.regions.state(key)
        if peer is None or state is None or not state.takes_requests or state.is_stale(self.regions.fleet.clock()):
            return None
        may_hold = decided.decision.action == "hold"
        if may_hold and deadline_seconds <= time.monotonic():
            return None
        standing = next(each for each in decided.standings if each.name == key.region)
        return SpillTarget(
            key,
            model,
            peer,
            decided.route_request,
            decided.decision.route,
            deadline_seconds,
            may_hold,
            standing.view.hop_seconds + standing.wait_seconds,
            self,
        )

    def would_wake(self, key: RegionKey) -> bool:
        """Whether asking for a wake would start one."""
        state = self.regions.state(key)
        return state is not None and state.wants_wake(self.regions.fleet.clock())

    def wake(self, key: RegionKey, model: ModelEntry, caller: Caller) -> None:
        """Ask the region's gateway for a wake, in the background."""
        peer, state = self.regions.peer_of.get(key), self.regions.state(key)
        if peer is None or state is None or not self.would_wake(key):
            return
        state.wake_asked_seconds = self.regions.fleet.clock()
        task = asyncio.create_task(self._wake(peer, model, caller))
        self.waking.add(task)
        task.add_done_callback(self.waking.discard)

    async def sleep(self, key: RegionKey, model: ModelEntry, caller: Caller) -> tuple[int, bytes]:
        """Ask the region's gateway to put it to sleep; return its response. Raises aiohttp's errors, TimeoutError."""
        peer = self.regions.peer_of.get(key)
        if peer is None:
            raise ConnectionError(f"region {key.region} has no gateway that is reached from here")
        return await self._post(peer, model, caller, "sleep")

    async def _post(self, peer: Peer, model: ModelEntry, caller: Caller, verb: str) -> tuple[int, bytes]:
        """Send a wake or a sleep of the peer's own region."""
        url = peer.url.url(f"/v1/models/{quote(model.full_name)}/{verb}")
        options = {"headers": spill_headers(model.full_name, caller), "json": {"region": peer.region}}
        async with (
            asyncio.timeout(WAKE_SECONDS),
            self.client.of(peer.region).post(url, **options, allow_redirects=False) as response,
        ):
            return response.status, await response.content.read(MOST_RESPONSE_BYTES)

    async def _wake(self, peer: Peer, model: ModelEntry, caller: Caller) -> None:
        try:
            status, _ = await self._post(peer, model, caller, "wake")
            log.info("peer_wake_asked", peer=peer.region, model=model.full_name, status=status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            PEER_FAILURES.labels(peer.region, "wake").inc()
            log.warning("peer_wake_failed", peer=peer.region, model=model.full_name, error=repr(error)[:300])


@dataclass(frozen=True, slots=True)
class SpillTarget:
    """The gateway of another region, for one attempt of one request."""

    is_here: ClassVar[bool] = False
    key: RegionKey
    model: ModelEntry
    peer: Peer
    asked: RouteRequest
    reason: str  # the route that led here
    deadline_seconds: float
    may_hold: bool  # the region cannot serve at once, and the request waits there
    expected_seconds: float  # until the first byte
    spills: Spills

    def url(self, path: str) -> str:
        """Return the URL that the request is sent to; the model's name lets a handshake be refused for it."""
        return self.peer.url.url(f"{path}?model={quote(self.model.full_name, safe='')}")

    def session(self, _of_cluster: aiohttp.ClientSession) -> RegionSession:
        """Return the session that knows the region by its certificate."""
        return self.spills.client.of(self.peer.region)

    def identity(self, caller: Caller) -> dict[str, str]:
        """Return what this gateway has found out about the request; nothing of this cluster's own tokens."""
        left_seconds = self.deadline_seconds - time.monotonic()
        asked = self.asked
        return spill_headers(
            self.model.full_name,
            caller,
            asked.client,
            asked.client_country,
            left_seconds,
            may_hold=self.may_hold,
        )

    @contextmanager
    def sending(self, *, is_measured: bool = True) -> Iterator[None]:
        """Count the request as sent there while the context lasts; the peer counts it in its region."""
        regions = self.spills.regions
        SPILLS.labels(self.peer.region, self.reason).inc()
        if (state := regions.state(self.key)) is None:
            yield
            return
        state.sent += 1
        state.open_requests += 1
        regions.fleet.drop_view(self.key)
        try:
            yield
        finally:
            state.record_ended(has_row=is_measured)

    def silence(self) -> StreamSilence:
        """Return what decides how long a stream from there waits for its next byte."""
        return StreamSilence(self.spills.regions.state(self.key))

    @asynccontextmanager
    async def first_byte(self, hold_left_seconds: float) -> AsyncIterator[None]:
        """Time the attempt. Raises UpstreamFailedError when no byte comes in time, or the peer is silent meanwhile."""
        limit_seconds = first_byte_limit_seconds(self.expected_seconds, hold_left_seconds)
        if self.may_hold:
            limit_seconds = max(0.0, hold_left_seconds) + 2 * FIRST_BYTE_SECONDS
        regions = self.spills.regions
        timer, timers = asyncio.timeout(limit_seconds), regions.waiting.setdefault(self.key, set())
        timers.add(timer)
        state = regions.state(self.key)
        if state is not None:
            state.unanswered += 1
        try:
            async with timer:
                yield
        except TimeoutError as error:
            if not timer.expired():
                raise
            failure = UpstreamFailure.TIMEOUT if timer in timers else UpstreamFailure.LOST
            raise UpstreamFailedError(failure, f"no byte of region {self.peer.region} in time") from error
        finally:
            if state is not None:
                state.unanswered -= 1
            timers.discard(timer)
            if not timers and regions.waiting.get(self.key) is timers:
                del regions.waiting[self.key]
        regions.record_answer(self.key)

    def record_failure(self, failure: UpstreamFailure) -> None:
        """Send the region nothing further until it reports again."""
        PEER_FAILURES.labels(self.peer.region, f"request_{failure.value}").inc()
        self.spills.regions.record_failure(self.key, failure)
