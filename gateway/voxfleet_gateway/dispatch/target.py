"""Where a request is sent.

Knows: its URL, the name of the model there, how its open requests are counted, what a failed attempt does to it.
Does not know: HTTP; how it was chosen. A peer gateway would be a second class with these members.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass

from voxfleet_gateway.decisions.ejection import first_byte_limit_seconds
from voxfleet_gateway.decisions.pod_state import PodState
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, RegionKey


@dataclass(frozen=True, slots=True)
class Target:
    """A pod of this cluster, picked for one attempt of one request."""

    key: RegionKey
    model: ModelEntry
    pod: PodState
    fleet: Fleet
    on_demand: Callable[[RegionKey], None]

    def url(self, path: str) -> str:
        """Return the URL that the request is sent to."""
        return self.pod.address.url(path)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Count the request as open while the context lasts, and keep the region's Lease renewed."""
        with self.fleet.sending(self.key, self.pod):
            self.on_demand(self.key)
            yield

    def first_byte(self, hold_left_seconds: float) -> AbstractAsyncContextManager[None]:
        """Return the timer of an attempt; it raises UpstreamFailedError when no byte comes in time."""
        limit_seconds = first_byte_limit_seconds(self.pod.expected_first_byte_seconds, hold_left_seconds)
        return self.fleet.attempts.first_byte(self.pod, limit_seconds)

    def record_failure(self, failure: UpstreamFailure) -> None:
        """Keep further requests away from the pod, as long as the failure suggests."""
        self.fleet.record_failure(self.key, self.pod, failure)
