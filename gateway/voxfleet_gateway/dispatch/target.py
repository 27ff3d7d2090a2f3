"""Where a request is sent.

Knows: its URL, the name of the model there, how its open requests are counted, what a failed attempt does to it.
Does not know: HTTP; how it was chosen. A peer gateway would be a second class with these members.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from voxfleet_gateway.decisions.pod_state import PodState
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

    def quarantine(self) -> None:
        """Send nothing more to the pod until its next load report."""
        self.fleet.quarantine(self.key, self.pod)
