"""One connection to a remote cluster: checks access, watches, works, and begins anew when the cluster was away.

Knows that nothing here may reach the rest of the operator: whatever a remote API server answers, or does not, ends this
connection's session alone. Does not know which resources use it, nor where the kubeconfig comes from.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.watching.optional_kinds import follow
from voxfleet_operator.decisions.remote.absence import CONNECTING, Absence, not_served
from voxfleet_operator.decisions.remote.recorded import SecretKey
from voxfleet_operator.kinds import KINDS, Watch
from voxfleet_operator.resources import Key

# Between two probes, as a share of the longest request: an absence shows after about three of these times.
PROBE_SHARE = 0.6
PROBES_FAILED = 2  # one lost request is no absence
SYNC_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0  # also the longest time from the cluster's return to its regions'
MOST_DOUBLINGS = 10

Tasks = Callable[[], dict[str, Coroutine[Any, Any, None]]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Connection:
    """A connection, and why it is not usable now (`absence`; None: it is).

    `tasks` work while it is; `on_change` is called when `absence` changed; `enqueue` has regions
    reconciled.
    """

    server: str
    cluster: Cluster
    watches: tuple[Watch, ...]
    tasks: Tasks
    on_change: Callable[[], None]
    enqueue: Callable[[Key, SecretKey], None]
    absence: Absence | None = CONNECTING
    away_since: float = 0.0
    failures: int = 0

    async def run(self) -> None:
        """Connect, and connect again, without end."""
        while True:
            try:
                await self._session()
            except Exception as error:  # noqa: BLE001 - whatever a foreign server sends must end here
                self._went_away(_first(error))
            for watch in self.watches:
                # What changed meanwhile is unknown: no region sleeps until its Lease was listed again and is trusted.
                self.cluster.store.on_broken(watch)
            pause_seconds = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self.failures, MOST_DOUBLINGS))
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret

    async def close(self) -> None:
        """Close the client; the task that runs `run` has been cancelled."""
        await self.cluster.api.close()

    async def _session(self) -> None:
        """Work until something fails."""
        store = self.cluster.store
        needed = [watch for watch in self.watches if not KINDS[watch.kind].is_optional]
        await asyncio.gather(*(_check_access(self.cluster.api, watch) for watch in needed))
        store.synced.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe())
            for watch in self.watches:
                group.create_task(follow(self.cluster.api, watch, store))
            await self._synced()
            self.failures, self.absence = 0, None
            log.info("remote cluster connected", server=self.server)
            self.on_change()
            for task in self.tasks().values():
                group.create_task(task)

    async def _synced(self) -> None:
        """Wait until every kind was listed. Raises KubernetesError."""
        store = self.cluster.store
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                await store.until_synced(len(self.watches))
        except TimeoutError as error:
            missing = ", ".join(sorted({watch.kind for watch in self.watches} - store.synced))
            raise KubernetesError(0, f"no listing within {SYNC_SECONDS:.0f} s of {missing}") from error

    async def _probe(self) -> None:
        """Raise when the API server has stopped to answer, which watches would show much later."""
        failed = 0
        while True:
            await asyncio.sleep(PROBE_SHARE * self.cluster.api.endpoint.request_seconds)
            try:
                await self.cluster.api.get("/version")
                failed = 0
            except KubernetesError:
                failed += 1
                if failed >= PROBES_FAILED:
                    raise

    def _went_away(self, error: BaseException) -> None:
        self.failures += 1
        if self.absence is None or self.absence.is_first:
            self.away_since = time.time()
        status = error.status if isinstance(error, KubernetesError) else 0
        text = str(error) if isinstance(error, KubernetesError) else f"{type(error).__name__} {error}".strip()
        absence = not_served(self.server, status, text, self.away_since)
        log.warning("remote cluster away", server=self.server, error=text, failures=self.failures)
        if absence != self.absence:
            self.absence = absence
            self.on_change()


async def _check_access(api: KubernetesApi, watch: Watch) -> None:
    """Raise what a watch would only repeat in the log: a missing grant, or an API server that is not reached."""
    await api.get(f"{watch.path}?limit=1")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
