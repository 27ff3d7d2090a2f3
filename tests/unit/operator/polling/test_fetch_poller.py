"""The progress of a fetch, read over real HTTP from the fetcher's own server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

import aiohttp
from voxfleet_inference.fetching.progress_server import LatestProgress, served
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.observed import FetchProgress, PodState
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.polling.fetch_poller import DirectProgressReader, FetchPoller
from voxfleet_operator.resources import Key

POD = PodState("default", "fetch-x", "narrator", "", created_at=0.0, job="fetch", address="127.0.0.1", is_running=True)
REF = ObjectRef("Pod", "default", "fetch-x")
OWNER = Key("default", "narrator")


async def test_a_changed_progress_enqueues_its_resource() -> None:
    enqueued: list[Key] = []
    store = Store(enqueued.append, enqueued.append, 9091)
    store.states[REF], store.owners[REF] = POD, OWNER
    observer = Observer(store, "demand")
    progress = LatestProgress(500, 2000)
    with served(progress, 0) as port, patch("voxfleet_operator.polling.fetch_poller.INTERNAL_PORT", port):
        async with aiohttp.ClientSession() as session:
            running = asyncio.create_task(FetchPoller(DirectProgressReader(session).read, observer, 0.01).run())
            await until(lambda: bool(enqueued))
            assert observer.progress == {("default", "fetch-x"): FetchProgress(500, 2000)}
            progress.report(900, 2000)
            await until(lambda: len(enqueued) == 2)
            store.states[REF] = replace(POD, is_finished=True)
            await until(lambda: not observer.progress)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    assert set(enqueued) == {OWNER}


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_true():  # noqa: ASYNC110 - the change is in a poller of its own
            await asyncio.sleep(0.01)
