"""The operator as a process: runs the components, and ends when the first of them ends.

Knows the tasks of the process, and signals. Does not know how components are built (components.py), nor any decision.
"""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import kopf
import structlog
from kubernetes.aio.config import ConfigException

from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError
from voxfleet_operator.cluster.watching.optional_kinds import follow
from voxfleet_operator.cluster.watching.own_kind import kopf_registry, kopf_settings
from voxfleet_operator.components import Components, open_components
from voxfleet_operator.resources import GROUP, PLURAL, VERSION
from voxfleet_operator.settings import Settings
from voxfleet_operator.telemetry import set_up_logging
from voxfleet_operator.worker import Worker

WORKERS = 8  # reconciles mostly wait for the API server; more of them would only queue there
UNREACHABLE_EXIT_CODE = 2
# Every write is one request, so no write can be left half done: tasks are cancelled at once.
SHUTDOWN_SECONDS = 1.0
DEFINITION_POLL_SECONDS = 2.0

log = structlog.get_logger(__name__)


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
    async with open_components(settings) as components:
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
    follows = {f"watch {watch.kind}": follow(api, watch, store) for watch in components.watches}
    work = {f"worker {number}": _work(components) for number in range(WORKERS)}
    stop = _until_stopped(components.kopf_started)
    return {
        **follows,
        **work,
        "own kind": _watch_own_kind(components),
        "load": components.poller.run(),
        "fetches": components.fetch_poller.run(),
        "events": components.reconciler.events.recorder.run(),
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
