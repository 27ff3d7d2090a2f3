"""Where a request is sent: the members that the proxy path needs of any target, and a pod of this cluster as one.

Knows: its URL, the name of the model there, which identity it is sent, how its open requests are counted, how long its
first byte is waited for, what a failed attempt does to it. Does not know: HTTP; how it was chosen.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol

import aiohttp

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.decisions.pods.ejection import first_byte_limit_seconds
from voxfleet_gateway.decisions.pods.pod_state import PodState
from voxfleet_gateway.decisions.pods.stream_silence import StreamSilence
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.peers.client import RegionSession
from voxfleet_gateway.peers.headers import PRIORITY_HEADER, TENANT_HEADER
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, RegionKey
from voxfleet_gateway.request_context import RequestContext


class Target(Protocol):
    """What one attempt of one request is sent to: a pod here, or the gateway of a region elsewhere."""

    is_here: ClassVar[bool]  # in this cluster, whose tokens it takes

    @property
    def key(self) -> RegionKey:
        """The region that serves."""

    @property
    def model(self) -> ModelEntry:
        """The model as it is called there."""

    def url(self, path: str) -> str:
        """Return the URL that the request is sent to."""

    def session(self, of_cluster: aiohttp.ClientSession) -> aiohttp.ClientSession | RegionSession:
        """Return the session that reaches the target; for an address of this cluster, the one given."""

    def identity(self, caller: Caller) -> dict[str, str]:
        """Return the headers by which the target knows the caller."""

    def sending(self, *, is_measured: bool = True) -> AbstractContextManager[None]:
        """Count the request as open while the context lasts; `is_measured`: its length is a service time."""

    def first_byte(self, hold_left_seconds: float) -> AbstractAsyncContextManager[object]:
        """Return the timer of an attempt; it raises UpstreamFailedError when no byte comes in time."""

    def silence(self) -> StreamSilence:
        """Return what decides how long a stream waits for its next byte."""

    def record_failure(self, failure: UpstreamFailure) -> None:
        """Keep further requests away from the target, as long as the failure suggests."""


def target_headers(target: Target, context: RequestContext) -> dict[str, str]:
    """Return the headers that only a gateway sets: the caller's identity, and for a pod what it needs beside it."""
    return target.identity(context.caller) | (context.pod_headers if target.is_here else {})


@dataclass(frozen=True, slots=True)
class PodTarget:
    """A pod of this cluster, picked for one attempt of one request."""

    is_here: ClassVar[bool] = True
    key: RegionKey
    model: ModelEntry
    pod: PodState
    fleet: Fleet
    on_demand: Callable[[RegionKey], None]

    def url(self, path: str) -> str:
        """Return the URL that the request is sent to."""
        return self.pod.address.url(path)

    def session(self, of_cluster: aiohttp.ClientSession) -> aiohttp.ClientSession:
        """Return the session of the cluster."""
        return of_cluster

    def identity(self, caller: Caller) -> dict[str, str]:
        """Return tenant and priority, which only the gateway sets; nothing for a request without a key."""
        return {TENANT_HEADER: caller.tenant, PRIORITY_HEADER: str(caller.priority)} if caller.tenant else {}

    @contextmanager
    def sending(self, *, is_measured: bool = True) -> Iterator[None]:
        """Count the request as open while the context lasts, and keep the region's Lease renewed."""
        with self.fleet.sending(self.key, self.pod, is_measured=is_measured):
            self.on_demand(self.key)
            yield

    @asynccontextmanager
    async def first_byte(self, hold_left_seconds: float) -> AsyncIterator[None]:
        """Time an attempt; raises UpstreamFailedError when no byte comes in time."""
        limit_seconds = first_byte_limit_seconds(self.pod.expected_first_byte_seconds, hold_left_seconds)
        async with self.fleet.attempts.first_byte(self.pod, limit_seconds):
            yield
        self.fleet.record_answer(self.key)

    def silence(self) -> StreamSilence:
        """Return what decides how long a stream of the pod waits for its next byte."""
        return StreamSilence(self.pod)

    def record_failure(self, failure: UpstreamFailure) -> None:
        """Keep further requests away from the pod, as long as the failure suggests."""
        self.fleet.record_failure(self.key, self.pod, failure)
