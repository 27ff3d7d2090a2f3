"""Follows kinds that a cluster may lack: HTTPRoutes, PodMonitors. Nothing is requested of one that is not defined.

Knows that the CustomResourceDefinition of each is watched by its name, so that neither an installation nor a removal
needs polling. Does not know what is made of these kinds.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from voxfleet_operator.cluster.api import KubernetesApi
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.watching.watches import list_and_watch
from voxfleet_operator.kinds import DEFINITIONS, KINDS, Watch


def follow(api: KubernetesApi, watch: Watch, store: Store) -> Coroutine[Any, Any, None]:
    """Return the coroutine that follows a watch without end."""
    return _while_defined(api, watch, store) if KINDS[watch.kind].definition else list_and_watch(api, watch, store)


async def _while_defined(api: KubernetesApi, watch: Watch, store: Store) -> None:
    kind = watch.kind
    while True:
        await store.until(lambda: DEFINITIONS[kind].name in store.synced)
        if not store.is_defined(kind):
            store.on_absent(kind)
            await store.until(lambda: store.is_defined(kind))
        following = asyncio.create_task(list_and_watch(api, watch, store))
        removed = asyncio.create_task(store.until(lambda: not store.is_defined(kind)))
        try:
            done, _ = await asyncio.wait((following, removed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (following, removed):
                task.cancel()
        if following in done:
            following.result()  # raises: it never ends by itself
