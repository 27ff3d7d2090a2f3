"""The operator as a process: builds the components, runs them, and ends when the first of them ends.

Knows every component of the operator. Does not know any decision.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf
import structlog
from kubernetes.aio.config import ConfigException

from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError, connect
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.own_kind import kopf_registry, kopf_settings
from voxfleet_operator.cluster.pod_drainer import PodDrainer
from voxfleet_operator.cluster.remote.clusters import RemoteClusters
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.watches import list_and_watch
from voxfleet_operator.fetch_poller import DirectProgressReader, FetchPoller
from voxfleet_operator.kinds import Watch, watches
from voxfleet_operator.load_poller import DirectReader, LoadPoller, gateway_token
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.containers import PodSettings
from voxfleet_operator.reconcile import Reconciler
from voxfleet_operator.remote.components import RemoteComponents
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key
from voxfleet_operator.settings import Settings
from voxfleet_operator.telemetry import Metrics, serve_health, serve_metrics, set_up_logging
from voxfleet_operator.work_queue import WorkQueue
from voxfleet_operator.worker import Worker

WORKERS = 8  # reconciles mostly wait for the API server; more of them would only queue there
UNREACHABLE_EXIT_CODE = 2
# Every write is one request, so no write can be left half done: tasks are cancelled at once.
SHUTDOWN_SECONDS = 1.0
DEFINITION_POLL_SECONDS = 2.0
GATEWAY_CONNECTIONS = 64

log = structlog.get_logger(__name__)


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


def run_operator() -> int:
    """Run until SIGTERM, or until a component fails; return the exit code."""
    settings = Settings()
    set_up_logging(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except ConfigException as error:
        sys.stderr.write(f"no cluster is configured: {error}; set VOXFLEET_KUBECONFIG or KUBECONFIG, or run in a pod\n")
        return UNREACHABLE_EXIT_CODE
    return 0


async def _run(settings: Settings) -> None:
    async with _components(settings) as components:
        tasks = [asyncio.create_task(task, name=name) for name, task in _tasks(components).items()]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        # `rest` is never empty: the watches do not end by themselves.
        await asyncio.wait(rest, timeout=SHUTDOWN_SECONDS)
        for task in done:
            log.info("stopping", because=task.get_name())
            task.result()  # raises what ended the task, so that the pod restarts with a traceback in its log


def _tasks(components: Components) -> dict[str, Coroutine[Any, Any, None]]:
    """Return the process' coroutines by name; in normal operation only `stop` ends."""
    api, store = components.api, components.store
    follow = {f"watch {watch.kind}": list_and_watch(api, watch, store) for watch in components.watches}
    work = {f"worker {number}": _work(components) for number in range(WORKERS)}
    stop = _until_stopped(components.kopf_started)
    return {
        **follow,
        **work,
        "own kind": _watch_own_kind(components),
        "load": components.poller.run(),
        "fetches": components.fetch_poller.run(),
        "stop": stop,
    }


async def _work(components: Components) -> None:
    # Before every kind is listed, existing objects would look missing and be created again.
    await components.store.until_synced(len(components.watches))
    await Worker(components.queue, components.reconciler, components.metrics).run()


async def _watch_own_kind(components: Components) -> None:
    """Run kopf once the CRD is served: kopf looks for the kind only when it starts."""
    while not await _is_served(components.api):  # noqa: ASYNC110 - the event is in another process
        await asyncio.sleep(DEFINITION_POLL_SECONDS)
    configuration = components.api.endpoint.configuration
    assert configuration is not None  # noqa: S101 - the own cluster's endpoint has it
    registry = kopf_registry(components.index, configuration)
    await kopf.operator(
        registry=registry, settings=kopf_settings(), clusterwide=True, ready_flag=components.kopf_started
    )


async def _is_served(api: KubernetesApi) -> bool:
    """Whether the API server serves VoxTTSDeployments; if not, the log names the remedy."""
    try:
        await api.get(f"/apis/{GROUP}/{VERSION}/{PLURAL}?limit=1")
    except KubernetesError as error:
        log.warning("VoxTTSDeployments cannot be listed; install the chart voxfleet-crds", error=str(error))
        return False
    return True


async def _until_stopped(kopf_started: asyncio.Event) -> None:
    """Return at SIGTERM or SIGINT.

    The handlers are set twice, at the start and after kopf's: kopf replaces them by its own, which would wait for
    tasks that it did not start.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    stopped = asyncio.create_task(stop.wait())
    for when in (asyncio.sleep(0), kopf_started.wait()):
        await asyncio.wait((stopped, asyncio.ensure_future(when)), return_when=asyncio.FIRST_COMPLETED)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    await stopped


@contextlib.asynccontextmanager
async def _components(settings: Settings) -> AsyncIterator[Components]:
    """Build and connect everything; close it at the end."""
    queue: WorkQueue[Key] = WorkQueue()
    index = ResourceIndex(queue.add)
    store = Store(queue.add, queue.add_first, settings.gateway_internal_port)
    metrics = Metrics()
    api = await connect(settings.kubeconfig, lambda method, status: metrics.api_calls.labels(method, str(status)).inc())
    observer = Observer(
        store,
        settings.demand_namespace,
        settings.spot_quiet_seconds,
        settings.node_boot_seconds,
        allowed_host_paths=settings.host_paths(),
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=GATEWAY_CONNECTIONS)) as session:
        read = DirectReader(session, gateway_token(settings.internal_key)).read
        poller = LoadPoller(read, observer, settings.load_poll_seconds)
        fetch_poller = FetchPoller(DirectProgressReader(session).read, observer, settings.load_poll_seconds)
        observer.on_reclaim = metrics.reclaims.inc
        drainer = PodDrainer(settings.internal_key)
        cluster = Cluster(api, store, observer, settings.system_namespace, drainer, time.time)
        reconciler = Reconciler(cluster, index, installation(settings))
        reconciler.on_status = metrics.observe_wakes
        reconciler.costs.on_spending, reconciler.costs.on_forget = metrics.count_spending, metrics.forget_spending
        watched = watches(settings.system_namespace, settings.demand_namespace, settings.gateway_service)
        remote = reconciler.remote
        parts = RemoteComponents(
            settings, index, remote.resources, remote.installation, watched, remote.outcomes, metrics, queue.add
        )
        remote.clusters = clusters = parts.clusters()
        components = Components(
            settings,
            api,
            queue,
            index,
            store,
            reconciler,
            poller,
            fetch_poller,
            metrics,
            watched,
            clusters,
            kopf_started=asyncio.Event(),
        )
        health = await serve_health(settings.health_host, settings.health_port, components.is_synced)
        metrics.observe(index.resources.values, queue.__len__, queue.oldest_seconds)
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
            await clusters.close()
            await api.close()


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
    )


def _before_scrape(components: Components) -> None:
    components.metrics.refresh_clusters(components.remote_clusters.up())
    components.reconciler.costs.advance_all(components.reconciler.clock())
