"""Writes Events of VoxTTSDeployments, in the operator's own cluster, beside all reconciles.

Knows names, counts and bounds, as client-go's recorder has them: a repeated message raises a count, and a resource has
a budget. core/v1, because `kubectl describe` sorts by its lastTimestamp, which events.k8s.io/v1 leaves empty. No
reconcile waits for an Event; one that cannot be written is lost. Does not know what an Event says (status/events.py).
"""

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import structlog

from voxfleet_operator.cluster.api import Body, KubernetesApi, KubernetesError
from voxfleet_operator.decisions.timestamps import to_micro_time, to_rfc3339
from voxfleet_operator.names import FIELD_MANAGER
from voxfleet_operator.resources import API_VERSION, GROUP, KIND, Key, Resource
from voxfleet_operator.status.event_drafts import EventDraft

# Of one resource: as many at once, and then one a minute (client-go: 25, and one in five minutes; a resource here has
# up to 32 regions, each of which wakes and sleeps by itself).
BURST, REFILL_SECONDS = 25, 60.0
LONGEST_QUEUE = 1000  # client-go's; events that come while the API server is away for long are lost
MOST_REMEMBERED = 4096
LONGEST_PREFIX = 200  # of a name of 253 characters
TRIES, RETRY_SECONDS, LONGEST_RETRY_SECONDS = 4, 2.0, 30.0
PASSING = (0, 429)  # not reached; too many requests. Beside them every 5xx
FIRST_SERVER_ERROR = 500

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Budget:
    """A token bucket."""

    tokens: float = BURST
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        self.tokens = min(self.tokens + max(now - self.at, 0.0) / REFILL_SECONDS, BURST) if self.at else self.tokens
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(frozen=True, slots=True)
class Repeated:
    """An Event that was written: its name, its first time, and how often it happened."""

    name: str
    first_at: float
    count: int


@dataclass(slots=True)
class EventRecorder:
    """Takes drafts at once, and sends them one after another while `run` runs."""

    api: KubernetesApi
    instance: str = field(default_factory=socket.gethostname)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _queue: asyncio.Queue[tuple[str, Body]] = field(default_factory=lambda: asyncio.Queue(LONGEST_QUEUE))
    _budgets: dict[Key, Budget] = field(default_factory=dict)
    _repeated: OrderedDict[str, Repeated] = field(default_factory=OrderedDict)
    _is_failing: bool = False

    def record(self, resource: Resource, drafts: Sequence[EventDraft], now: float) -> None:
        """Queue Events; those past the resource's budget, and past a full queue, are dropped."""
        for draft in drafts:
            budget = self._budgets.setdefault(resource.key, Budget())
            if not budget.take(now):
                log.debug("event dropped", resource=str(resource.key), reason=draft.reason)
                continue
            body = self._body(resource, draft, now)
            path = f"/api/v1/namespaces/{resource.key.namespace}/events/{body['metadata']['name']}"
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait((path, body))

    def forget(self, key: Key) -> None:
        """Drop the budget of a deleted resource."""
        self._budgets.pop(key, None)

    async def run(self) -> None:
        """Send Events for ever."""
        while True:
            path, body = await self._queue.get()
            try:
                await self._send(path, body)
            except Exception:
                # An error in our own code must not end the process: resources are reconciled without Events.
                log.exception("event not sent", path=path)

    async def flush(self) -> None:
        """Send the Events that are queued now."""
        while not self._queue.empty():
            await self._send(*self._queue.get_nowait())

    async def _send(self, path: str, body: Body) -> None:
        """Apply one Event: a write that is tried again has the same name and count, so that it changes nothing."""
        for attempt in range(TRIES):
            try:
                await self.api.apply(path, body)
            except KubernetesError as error:
                self._log_once(error)
                if not _is_passing(error) or attempt == TRIES - 1:
                    return
                pause = max(error.retry_after_seconds, RETRY_SECONDS * 2**attempt)
                await self.sleep(min(pause, LONGEST_RETRY_SECONDS))
            else:
                self._is_failing = False
                return

    def _log_once(self, error: KubernetesError) -> None:
        """Log the first of several failures in a row: an old ClusterRole, or an API server that is away."""
        if not self._is_failing:
            log.warning("events cannot be written; resources are reconciled without", error=str(error))
        self._is_failing = True

    def _body(self, resource: Resource, draft: EventDraft, now: float) -> Body:
        written = self._written(resource, draft, now)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": written.name, "namespace": resource.key.namespace},
            "involvedObject": _reference(resource),
            "type": "Warning" if draft.is_warning else "Normal",
            "reason": draft.reason,
            "message": draft.message,
            "action": draft.action,
            "count": written.count,
            "firstTimestamp": to_rfc3339(written.first_at),
            "lastTimestamp": to_rfc3339(draft.at or now),
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": f"{GROUP}/operator",
            "reportingInstance": self.instance,
        }

    def _written(self, resource: Resource, draft: EventDraft, now: float) -> Repeated:
        """Return name, first time and count: of one occurrence always the same, else of the message so far."""
        identity = (resource.uid, draft.region, draft.reason)
        if draft.occurrence:
            at = draft.at or now
            return Repeated(_name(resource, *identity, draft.occurrence), at, 1)
        key = _digest(*identity, draft.message, str(draft.is_warning))
        before = self._repeated.pop(key, None)
        first_at = before.first_at if before else now
        name = before.name if before else _name(resource, key, to_micro_time(now))
        self._repeated[key] = Repeated(name, first_at, before.count + 1 if before else 1)
        if len(self._repeated) > MOST_REMEMBERED:
            self._repeated.popitem(last=False)
        return self._repeated[key]


def _reference(resource: Resource) -> Body:
    key = resource.key
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "namespace": key.namespace,
        "name": key.name,
        "uid": resource.uid,
    }


def _is_passing(error: KubernetesError) -> bool:
    return error.status in PASSING or error.status >= FIRST_SERVER_ERROR


def _name(resource: Resource, *parts: str) -> str:
    return f"{resource.key.name[:LONGEST_PREFIX].rstrip('.-')}.{_digest(*parts)}"


def _digest(*parts: str) -> str:
    return sha256("/".join(parts).encode()).hexdigest()[:16]
