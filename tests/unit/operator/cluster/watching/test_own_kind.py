"""kopf's handlers: run by kopf's own invocation, which decides by their kind in which thread they run."""

import asyncio
import logging
import threading
from typing import Any

import pytest
from kopf._core.actions.invocation import invoke
from kubernetes.aio import client
from voxfleet_operator.cluster.watching.own_kind import kopf_registry

BODY = {
    "metadata": {
        "name": "narrator",
        "namespace": "default",
        "uid": "1",
        "generation": 1,
        "creationTimestamp": "2026-11-01T00:00:00Z",
    },
    "spec": {"regions": [{"name": "here"}]},
}


class ThreadStore:
    """Records in which thread each method was called."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: self.threads.append(threading.current_thread())


@pytest.mark.parametrize("event", ["ADDED", "DELETED", None])
def test_the_store_is_called_in_the_event_loops_thread_only(event: str | None) -> None:
    store = ThreadStore()
    registry = kopf_registry(store, client.Configuration())  # type: ignore[arg-type] # a recorder
    handlers = [*registry._indexing.get_all_handlers(), *registry._watching.get_all_handlers()]
    cause = {"type": event, "namespace": "default", "name": "narrator", "body": BODY, "logger": logging.getLogger()}

    async def call_all() -> None:
        for handler in handlers:
            await invoke(handler.fn, kwargs=cause)

    asyncio.run(call_all())
    assert store.threads == [threading.main_thread()] * len(handlers)
