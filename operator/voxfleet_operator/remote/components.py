"""Builds what works in a remote cluster: client, store, queue, workers, pollers; a connection runs them while it is up.

Knows every part of a remote cluster. Does not know which clusters there are (cluster/remote/clusters.py).
"""

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from voxfleet_operator.cluster.api import KubernetesApi
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.own_resources import OwnResources
from voxfleet_operator.cluster.remote.clusters import RemoteClusters, Uses
from voxfleet_operator.cluster.remote.connection import Connection
from voxfleet_operator.cluster.remote.endpoint import remote_endpoint
from voxfleet_operator.cluster.remote.secrets import SecretReader
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster_reconciler import ClusterReconciler
from voxfleet_operator.decisions.remote.addresses import parse_networks
from voxfleet_operator.decisions.remote.kubeconfigs import KubeConfig
from voxfleet_operator.decisions.remote.recorded import SecretKey
from voxfleet_operator.kinds import Watch
from voxfleet_operator.manifests import Installation
from voxfleet_operator.polling.fetch_poller import FetchPoller
from voxfleet_operator.polling.load_poller import LoadPoller, gateway_token
from voxfleet_operator.remote.outcomes import Outcomes, Part
from voxfleet_operator.remote.pod_proxy import PodProxy
from voxfleet_operator.remote.reconciler import RemoteReconciler
from voxfleet_operator.resources import Key
from voxfleet_operator.settings import Settings
from voxfleet_operator.telemetry import Metrics
from voxfleet_operator.work_queue import WorkQueue
from voxfleet_operator.worker import Worker

WORKERS = 4  # of each cluster


@dataclass(slots=True)
class RemoteComponents:
    """What all remote clusters share."""

    settings: Settings
    index: ResourceIndex
    resources: OwnResources
    installation: Installation
    watches: tuple[Watch, ...]
    outcomes: Outcomes
    metrics: Metrics
    enqueue_home: Callable[[Key], None]

    def clusters(self) -> RemoteClusters:
        """Return the remote clusters, of which none is connected yet."""
        account = f"{self.settings.system_namespace}:voxfleet-operator"
        return RemoteClusters(
            SecretReader(self.resources.api, account).read,
            self.connect,
            self.enqueue_home,
            parse_networks(self.settings.allowed_peer_networks),
            self.settings.secret_poll_seconds,
        )

    def connect(self, config: KubeConfig, uses: Uses) -> Connection:
        """Return a connection that is not running yet. Raises KubeconfigRefusedError."""
        allowed = parse_networks(self.settings.allowed_peer_networks)
        endpoint = remote_endpoint(config, allowed, self.settings.remote_request_seconds)
        api = KubernetesApi(endpoint, lambda *call: self.metrics.count_remote_call(config.server, *call))
        queue: WorkQueue[Part] = WorkQueue()

        def changed() -> None:
            for key, secret in uses():
                queue.add(Part(key, secret))
                self.enqueue_home(key)

        store = Store(
            _to_parts(queue.add, uses),
            _to_parts(queue.add_first, uses),
            self.settings.gateway_internal_port,
            is_remote=True,
            on_served=changed,
        )
        cluster = self._cluster(api, store)
        reconciler = RemoteReconciler(
            ClusterReconciler(cluster, self.resources),
            self.index,
            self.outcomes,
            self.installation,
            self.enqueue_home,
            time.time,
        )

        def tasks() -> dict[str, Coroutine[Any, Any, None]]:
            return self._tasks(cluster, queue, reconciler)

        def enqueue(key: Key, secret: SecretKey) -> None:
            queue.add(Part(key, secret))

        return Connection(config.server, cluster, self.watches, tasks, changed, enqueue)

    def _cluster(self, api: KubernetesApi, store: Store) -> Cluster:
        settings = self.settings
        observer = Observer(
            store,
            settings.demand_namespace,
            settings.spot_quiet_seconds,
            settings.node_boot_seconds,
            allowed_host_paths=settings.host_paths(),
        )
        observer.on_reclaim = self.metrics.reclaims.inc
        token = gateway_token(settings.internal_key)
        proxy = PodProxy(api, store, settings.system_namespace, settings.internal_key, token)
        return Cluster(api, store, observer, settings.system_namespace, proxy, time.time)

    def _tasks(
        self, cluster: Cluster, queue: WorkQueue[Part], reconciler: RemoteReconciler
    ) -> dict[str, Coroutine[Any, Any, None]]:
        queue.requeue_processing()  # what the workers of an earlier session were at when it ended
        proxy, poll_seconds = cluster.drainer, self.settings.load_poll_seconds
        assert isinstance(proxy, PodProxy)  # noqa: S101 - _cluster made it
        work = {f"worker {n}": Worker(queue, reconciler, self.metrics).run() for n in range(WORKERS)}
        load = LoadPoller(proxy.load, cluster.observer, poll_seconds)
        fetches = FetchPoller(proxy.progress, cluster.observer, poll_seconds)
        return {**work, "load": load.run(), "fetches": fetches.run()}


def _to_parts(add: Callable[[Part], None], uses: Uses) -> Callable[[Key], None]:
    def enqueue(key: Key) -> None:
        for used_by, secret in uses():
            if used_by == key:
                add(Part(key, secret))

    return enqueue
