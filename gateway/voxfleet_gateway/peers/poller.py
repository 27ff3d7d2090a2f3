"""Polls GET /internal/region of every peer, over one kept connection each.

Knows: how often, jitter, back-off from a peer that fails. Does not know: which responses are usable (report_fetch.py),
what follows from a report (remote_regions.py).
"""

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_gateway.peers.client import PeerClient
from voxfleet_gateway.peers.remote_regions import Peer, RemoteRegions
from voxfleet_gateway.peers.report import REGION_PATH
from voxfleet_gateway.peers.report_fetch import failure_reason, fetch_report
from voxfleet_gateway.telemetry import PEER_FAILURES

RESPONSE_SECONDS = 2.0  # connection and body included; a peer slower than that is of no use for a request that waits
JITTER = 0.2  # of each pause: gateways that start together must not poll together
LONGEST_PAUSE_SECONDS = 30.0  # between two polls of a peer that fails
SHORTEST_PAUSE_SECONDS = 0.1  # however often attempts fail
HOP_SAMPLES = 8  # the shortest counts: others waited for a handshake, or for the peer's event loop

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PeerPolls:
    """The polls of one peer."""

    failures: int = 0  # in a row
    fault: str = ""  # of the last poll, as it was logged
    hops: deque[float] = field(default_factory=lambda: deque(maxlen=HOP_SAMPLES))
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def pause_seconds(self, interval_seconds: float, draw: float) -> float:
        """Return the pause before the next poll; `draw` is random, between 0 and 1."""
        longest = max(interval_seconds, LONGEST_PAUSE_SECONDS)
        wanted = interval_seconds * 2.0 ** min(16, max(0, self.failures - 1))
        return min(longest, wanted) * (1 - JITTER + 2 * JITTER * draw)


@dataclass(slots=True)
class PeerPoller:
    """One task per peer, started and stopped as peers come and go."""

    regions: RemoteRegions
    client: PeerClient
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    tasks: dict[Peer, asyncio.Task[None]] = field(default_factory=dict)
    polls: dict[Peer, PeerPolls] = field(default_factory=dict)

    def follow(self) -> None:
        """Start polling new peers, and stop polling those that are gone."""
        wanted = self.regions.keys_of.keys()
        for peer in self.tasks.keys() - wanted:
            self.tasks.pop(peer).cancel()
            del self.polls[peer]
        for peer in wanted - self.tasks.keys():
            self.polls[peer] = PeerPolls()
            self.tasks[peer] = asyncio.create_task(self._poll(peer, self.polls[peer]), name=f"poll {peer.region}")

    async def stop(self) -> None:
        """Cancel all polling and wait for its end."""
        tasks = [*self.tasks.values()]
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def poll_now(self, peer: Peer) -> None:
        """End the pause before the next poll of a peer."""
        if (polls := self.polls.get(peer)) is not None:
            polls.wanted.set()

    async def _poll(self, peer: Peer, polls: PeerPolls) -> None:
        while True:
            polls.wanted.clear()
            await self._poll_once(peer, polls)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(polls.pause_seconds(self.regions.interval_seconds, self.draw())):
                    await polls.wanted.wait()
                    await asyncio.sleep(SHORTEST_PAUSE_SECONDS)

    async def _poll_once(self, peer: Peer, polls: PeerPolls) -> None:
        asked_seconds, sent_before = self.clock(), self.regions.sent_before(peer)
        try:
            async with asyncio.timeout(RESPONSE_SECONDS):
                session, url = self.client.of(peer.region), peer.url.url(REGION_PATH)
                report, answered_seconds = await fetch_report(session, url, self.clock)
        except Exception as error:  # noqa: BLE001  # whatever a peer sends, the polling goes on
            self._failed(peer, polls, error)
            return
        if polls.fault:
            log.info("peer_reports_again", peer=peer.region, url=peer.url.url(""))
        polls.failures, polls.fault = 0, ""
        polls.hops.append(answered_seconds - asked_seconds)
        self.regions.record_report(peer, report, asked_seconds, sent_before, min(polls.hops))

    def _failed(self, peer: Peer, polls: PeerPolls, error: Exception) -> None:
        polls.failures += 1
        reason = failure_reason(error)
        PEER_FAILURES.labels(peer.region, reason).inc()
        fault = f"{reason}: {error!s:.300}"
        if polls.fault != fault:
            polls.fault = fault
            log.warning("peer_does_not_report", peer=peer.region, url=peer.url.url(""), reason=reason, error=fault)
        self.regions.record_silence(peer)
