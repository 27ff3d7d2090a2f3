"""The operator as a process: puts the parts together, runs them, ends with the first that ends.

Knows every shell of the operator. Does not know any decision.
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
from voxfleet_operator.cluster.kinds import Watch, watches
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.watches import list_and_watch
from voxfleet_operator.handlers import quiet_settings, watching_registry
from voxfleet_operator.load_poller import LoadPoller, gateway_token
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.pod import PodSettings
from voxfleet_operator.reconcile import NameTakenError, Reconciler
from voxfleet_operator.resources import GROUP, PLURAL, VERSION, Key
from voxfleet_operator.settings import Settings
from voxfleet_operator.telemetry import Metrics, serve_health, serve_metrics, set_up_logging
from voxfleet_operator.work_queue import WorkQueue

WORKERS = 8
UNREACHABLE_EXIT_CODE = 2
# Nothing is written by halves: every write is one request, so there is nothing to wait for.
SHUTDOWN_SECONDS = 1.0
DEFINITION_POLL_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Components:
    """What runs."""

    settings: Settings
    api: KubernetesApi
    queue: WorkQueue[Key]
    store: Store
    reconciler: Reconciler
    reader: LoadPoller
    metrics: Metrics
    watched: tuple[Watch, ...]
    kopf_runs: asyncio.Event

    def is_synced(self) -> bool:
        """Whether every watch has listed once."""
        return self.kopf_runs.is_set() and all(watched.kind in self.store.synced for watched in self.watched)


def run_operator() -> int:
    """Until SIGTERM, or until a part cannot go on."""
    settings = Settings()
    set_up_logging(settings.log_level)
    try:
        asyncio.run(_run(settings))
    except ConfigException as error:
        sys.stderr.write(f"no cluster to work on: {error}; set VOXFLEET_KUBECONFIG, KUBECONFIG, or run in a pod\n")
        return UNREACHABLE_EXIT_CODE
    return 0


async def _run(settings: Settings) -> None:
    async with _components(settings) as components:
        running = _everything(components)
        tasks = [asyncio.create_task(part, name=name) for name, part in running.items()]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.wait(rest, timeout=SHUTDOWN_SECONDS)
        for task in done:
            log.info("stopping", because=task.get_name())
            task.result()


def _everything(components: Components) -> dict[str, Coroutine[Any, Any, None]]:
    """Coroutines by name; none of them ends by itself."""
    follow = {f"watch {w.kind}": list_and_watch(components.api, w, components.store) for w in components.watched}
    work = {f"worker {number}": _work(components) for number in range(WORKERS)}
    stop = _until_stopped(components.kopf_runs)
    return {
        **follow,
        **work,
        "own kind": _watch_own_kind(components),
        "load": components.reader.read_for_ever(),
        "stop": stop,
    }


async def _watch_own_kind(components: Components) -> None:
    """Kopf looks for the kind only once, when it starts: so it starts when the kind is there."""
    while not await _is_served(components.api):  # noqa: ASYNC110 - what it waits for is in another process
        await asyncio.sleep(DEFINITION_POLL_SECONDS)
    registry = watching_registry(components.store, components.api.configuration)
    await kopf.operator(registry=registry, settings=quiet_settings(), clusterwide=True, ready_flag=components.kopf_runs)


async def _is_served(api: KubernetesApi) -> bool:
    """Whether the API server knows our kind; if not, the log says what to do."""
    try:
        await api.get(f"/apis/{GROUP}/{VERSION}/{PLURAL}?limit=1")
    except KubernetesError as error:
        log.warning("VoxTTSDeployments cannot be listed; install the chart voxfleet-crds", error=str(error))
        return False
    return True


async def _until_stopped(kopf_runs: asyncio.Event) -> None:
    """Until SIGTERM. kopf sets handlers of its own when it starts and would wait for tasks that are not its own."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    waiting = asyncio.create_task(stop.wait())
    for when in (asyncio.sleep(0), kopf_runs.wait()):
        await asyncio.wait((waiting, asyncio.ensure_future(when)), return_when=asyncio.FIRST_COMPLETED)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    await waiting


@contextlib.asynccontextmanager
async def _components(settings: Settings) -> AsyncIterator[Components]:
    """Everything connected, and closed again."""
    queue: WorkQueue[Key] = WorkQueue()
    store = Store(queue.add, queue.add_first, settings.gateway_internal_port)
    api = await connect(settings.kubeconfig)
    observer = Observer(store, settings.demand_namespace)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        reader = LoadPoller(session, observer, gateway_token(settings.internal_key), settings.load_poll_seconds)
        reconciler = Reconciler(api, store, observer, installation(settings))
        watched = watches(settings.system_namespace, settings.demand_namespace, settings.gateway_service)
        components = Components(settings, api, queue, store, reconciler, reader, Metrics(), watched, asyncio.Event())
        health = await serve_health(settings.health_host, settings.health_port, components.is_synced)
        metrics = await serve_metrics(
            settings.health_host, settings.metrics_port, components.metrics, lambda: _refresh_metrics(components)
        )
        try:
            yield components
        finally:
            await health.cleanup()
            await metrics.cleanup()
            await api.close()


def installation(settings: Settings) -> Installation:
    """What manifests need to know of the settings."""
    return Installation(
        system_namespace=settings.system_namespace,
        demand_namespace=settings.demand_namespace,
        gateway_host=f"{settings.gateway_service}.{settings.system_namespace}.svc.{settings.cluster_domain}",
        pod=PodSettings(settings.inference_image, settings.image_pull_policy, settings.internal_key),
        allowed_host_paths=settings.host_paths(),
    )


async def _work(components: Components) -> None:
    """One worker: what fails is tried again later, and keeps nobody else."""
    await components.store.until_synced(len({watched.kind for watched in components.watched}))
    while True:
        key = await components.queue.next()
        result = await _work_on(components, key)
        components.metrics.reconciles.labels(result).inc()


async def _work_on(components: Components, key: Key) -> str:
    started_at = time.monotonic()
    try:
        requeue_at = await components.reconciler.reconcile(key)
    except (KubernetesError, NameTakenError) as error:
        pause_seconds = components.queue.failed(key)
        log.warning("reconcile failed", resource=str(key), error=str(error), retry_seconds=round(pause_seconds, 1))
        return "error"
    except Exception:
        pause_seconds = components.queue.failed(key)
        log.exception("reconcile broke", resource=str(key), retry_seconds=round(pause_seconds, 1))
        return "broken"
    finally:
        components.metrics.reconcile_seconds.observe(time.monotonic() - started_at)
    components.queue.succeeded(key)
    if requeue_at is not None:
        components.queue.add_at(key, requeue_at)
    return "ok"


def _refresh_metrics(components: Components) -> None:
    components.metrics.workqueue_depth.set(len(components.queue))
    components.metrics.resources.set(len(components.store.resources))
    for method, count in components.api.calls.items():
        components.metrics.api_calls.labels(method).set(count)
