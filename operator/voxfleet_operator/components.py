"""The objects of an operator's process: built with what each needs, connected, and closed at the end.

Knows which component calls which. Does not know how any of them works, which tasks run them (process.py), any decision.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from voxfleet_operator.cluster.api import KubernetesApi, connect
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.remote.clusters import RemoteClusters
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.writing.pod_drainer import PodDrainer
from voxfleet_operator.kinds import Watch, remote_watches, watches
from voxfleet_operator.manifests import Entry, Installation
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.polling.fetch_poller import DirectProgressReader, FetchPoller
from voxfleet_operator.polling.load_poller import DirectReader, LoadPoller, gateway_token
from voxfleet_operator.reconcile import Reconciler
from voxfleet_operator.remote.components import RemoteComponents
from voxfleet_operator.resources import Key
from voxfleet_operator.settings import Settings
from voxfleet_operator.telemetry import Metrics, serve_health, serve_metrics
from voxfleet_operator.work_queue import WorkQueue

GATEWAY_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Components:
    """The objects that the process' tasks share."""

    settings: Settings
    api: KubernetesApi
    queue: WorkQueue[Key]
    index: ResourceIndex
    store: Store
    reconciler: Reconciler
    poller: LoadPoller
    fetch_poller: FetchPoller
    metrics: Metrics
    watches: tuple[Watch, ...]
    remote_clusters: RemoteClusters
    kopf_started: asyncio.Event

    def is_synced(self) -> bool:
        """Whether every watch has listed once."""
        return self.kopf_started.is_set() and all(watch.kind in self.store.synced for watch in self.watches)


@contextlib.asynccontextmanager
async def open_components(settings: Settings) -> AsyncIterator[Components]:
    """Build and connect everything; close it at the end."""
    metrics = Metrics()
    api = await connect(settings.kubeconfig, lambda method, status: metrics.api_calls.labels(method, str(status)).inc())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=GATEWAY_CONNECTIONS)) as session:
        components = _assembled(settings, api, session, metrics)
        health = await serve_health(settings.health_host, settings.health_port, components.is_synced)
        metrics.observe(components.index.resources.values, components.queue.__len__, components.queue.oldest_seconds)
        scrapes = await serve_metrics(
            settings.health_host,
            settings.metrics_port,
            metrics,
            before_scrape=lambda: _before_scrape(components),
        )
        try:
            yield components
        finally:
            await health.cleanup()
            await scrapes.cleanup()
            await components.remote_clusters.close()
            await api.close()


def _assembled(settings: Settings, api: KubernetesApi, session: aiohttp.ClientSession, metrics: Metrics) -> Components:
    """Build every component with what it needs; changes go from watches to store, and from there to the queue."""
    queue: WorkQueue[Key] = WorkQueue()
    index = ResourceIndex(queue.add)
    store = Store(queue.add, queue.add_first, settings.gateway_internal_port, on_served=index.enqueue_all)
    observer = _observer(settings, store, metrics)
    drainer = PodDrainer(settings.internal_key)
    cluster = Cluster(api, store, observer, settings.system_namespace, drainer, time.time)
    reconciler = _reconciler(settings, cluster, index, metrics)
    watched = _watched(settings)
    remote = reconciler.remote
    remote.clusters = RemoteComponents(
        settings,
        index,
        remote.resources,
        remote.installation,
        remote_watches(watched),
        remote.outcomes,
        metrics,
        queue.add,
    ).clusters()
    read = DirectReader(session, gateway_token(settings.internal_key)).read
    return Components(
        settings,
        api,
        queue,
        index,
        store,
        reconciler,
        LoadPoller(read, observer, settings.load_poll_seconds),
        FetchPoller(DirectProgressReader(session).read, observer, settings.load_poll_seconds),
        metrics,
        watched,
        remote.clusters,
        kopf_started=asyncio.Event(),
    )


def _observer(settings: Settings, store: Store, metrics: Metrics) -> Observer:
    observer = Observer(
        store,
        settings.demand_namespace,
        settings.spot_quiet_seconds,
        settings.node_boot_seconds,
        allowed_host_paths=settings.host_paths(),
    )
    observer.on_reclaim = metrics.reclaims.inc
    return observer


def _reconciler(settings: Settings, cluster: Cluster, index: ResourceIndex, metrics: Metrics) -> Reconciler:
    reconciler = Reconciler(cluster, index, installation(settings))
    reconciler.on_status = metrics.observe_wakes
    reconciler.costs.on_spending, reconciler.costs.on_forget = metrics.count_spending, metrics.forget_spending
    return reconciler


def _watched(settings: Settings) -> tuple[Watch, ...]:
    namespaces = settings.system_namespace, settings.demand_namespace
    return watches(*namespaces, settings.gateway_service, has_notebooks=settings.notebooks)


def installation(settings: Settings) -> Installation:
    """Return the part of the settings that manifests depend on."""
    return Installation(
        system_namespace=settings.system_namespace,
        demand_namespace=settings.demand_namespace,
        gateway_host=f"{settings.gateway_service}.{settings.system_namespace}.svc.{settings.cluster_domain}",
        pod=PodSettings(
            settings.inference_image, settings.image_pull_policy, settings.internal_key, settings.voice_source
        ),
        allowed_host_paths=settings.host_paths(),
        allowed_peers=settings.allowed_peers(),
        entry=Entry(
            settings.gateway_service,
            settings.gateway_tls,
            settings.ingress_domains(),
            settings.notebooks,
            settings.ingress_annotations,
            settings.pod_monitor_labels,
            tuple(settings.metrics_from),
            tuple(settings.notebooks_from),
        ),
    )


def _before_scrape(components: Components) -> None:
    components.metrics.refresh_clusters(components.remote_clusters.up())
    components.reconciler.costs.advance_all(components.reconciler.clock())
