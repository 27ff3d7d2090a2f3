"""Reaches pods of a remote cluster through its API server: their networks need no route from here.

Knows the header that carries a token past the API server, which takes Authorization off. Does not know what is asked.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError, PodPort
from voxfleet_operator.cluster.store import GatewayAddress, Store
from voxfleet_operator.decisions.observed import PodState
from voxfleet_operator.manifests.pods.containers import INTERNAL_PORT, internal_token
from voxfleet_operator.resources import Key

TOKEN_HEADER = "Voxfleet-Internal-Token"  # noqa: S105 - the name of a header
PAUSE_AFTER_FAILURE_SECONDS = 10.0  # as for pods of the own cluster (cluster/writing/pod_drainer.py)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PodProxy:
    """Requests to gateways and servers of one remote cluster; `gateway_token`: what its gateways accept."""

    api: KubernetesApi
    store: Store
    system_namespace: str
    internal_key: str
    gateway_token: str
    clock: Callable[[], float] = time.monotonic
    failed_at: dict[str, float] = field(default_factory=dict)

    async def load(self, gateway: GatewayAddress) -> bytes:
        """Return a gateway's load. Raises KubernetesError."""
        if not gateway.pod:
            raise KubernetesError(0, f"the EndpointSlice names no pod at {gateway.address}")
        pod = PodPort(self.system_namespace, gateway.pod, gateway.port)
        return await self.api.proxy("GET", pod, "/internal/load", {TOKEN_HEADER: self.gateway_token})

    async def progress(self, pod: PodState) -> bytes:
        """Return how far a pod is that fetches weights. Raises KubernetesError."""
        return await self.api.proxy("GET", PodPort(pod.namespace, pod.name, INTERNAL_PORT), "/internal/progress", {})

    async def drain(self, key: Key, address: str, *, is_on: bool) -> None:
        """Ask one server to drain, or to serve on; no answer is logged, and the next decision asks again."""
        now, pod = self.clock(), self._pod(key, address)
        if pod is None or now - self.failed_at.get(address, float("-inf")) < PAUSE_AFTER_FAILURE_SECONDS:
            return
        token = internal_token(self.internal_key, key.namespace, key.name)
        port = PodPort(pod.namespace, pod.name, INTERNAL_PORT)
        try:
            await self.api.proxy("POST" if is_on else "DELETE", port, "/internal/drain", {TOKEN_HEADER: token})
        except KubernetesError as error:
            stale = now - PAUSE_AFTER_FAILURE_SECONDS
            self.failed_at = {known: at for known, at in self.failed_at.items() if at > stale} | {address: now}
            log.warning("server not drained", pod=pod.name, namespace=pod.namespace, error=str(error))

    def _pod(self, key: Key, address: str) -> PodState | None:
        found = (self.store.state(ref, PodState) for ref in self.store.refs_of(key, ("Pod",)))
        return next((pod for pod in found if pod is not None and pod.address == address), None)
