"""Pods of a remote cluster, asked through an API server over real HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from voxfleet_operator import names
from voxfleet_operator.cluster.api import KubernetesApi, KubernetesError
from voxfleet_operator.cluster.endpoints import Endpoint
from voxfleet_operator.cluster.store import GatewayAddress, Store
from voxfleet_operator.decisions.observed import PodState
from voxfleet_operator.kinds import Watch
from voxfleet_operator.manifests.pods.containers import internal_token
from voxfleet_operator.remote.pod_proxy import PodProxy
from voxfleet_operator.resources import Key

NARRATOR = Key("default", "narrator")


async def authorization() -> dict[str, str]:
    return {"Authorization": "Bearer of the API server"}


@asynccontextmanager
async def proxied(status: int = 200) -> AsyncIterator[tuple[PodProxy, list[tuple[str, str, str | None]]]]:
    """A proxy, and what its API server was asked: method, path, token."""
    asked: list[tuple[str, str, str | None]] = []

    async def respond(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, request.headers.get("Voxfleet-Internal-Token")))
        return web.Response(text=json.dumps({"gateway": "gw"}), status=status)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = Endpoint(f"http://127.0.0.1:{runner.addresses[0][1]}", True, authorization)
    api = KubernetesApi(endpoint, lambda _method, _status: None)
    store = Store(lambda _key: None, lambda _key: None, 9091, is_remote=True)
    store.on_change(Watch("Pod", "x"), pod())
    try:
        yield PodProxy(api, store, "system", "key", "gateway token"), asked
    finally:
        await api.close()
        await runner.cleanup()


def pod() -> dict[str, Any]:
    labels = names.pool_labels("default", "narrator", "ap", names.POOL_ON_DEMAND)
    metadata = {"namespace": "default", "name": "server-1", "uid": "u", "resourceVersion": "1", "labels": labels}
    metadata |= {"creationTimestamp": "2026-11-23T20:00:00Z"}
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "podIP": "10.9.9.9"}}


async def test_a_gateways_load_is_read_with_its_token() -> None:
    async with proxied() as (proxy, asked):
        assert json.loads(await proxy.load(GatewayAddress("10.9.9.1", 9091, "gw-0"))) == {"gateway": "gw"}
        path = "/api/v1/namespaces/system/pods/gw-0:9091/proxy/internal/load"
        assert asked == [("GET", path, "gateway token")]


async def test_a_gateway_without_a_pods_name_is_not_reached() -> None:
    async with proxied() as (proxy, asked):
        with pytest.raises(KubernetesError, match="names no pod"):
            await proxy.load(GatewayAddress("10.9.9.1", 9091))
        assert asked == []


async def test_a_server_is_drained_and_undrained_with_the_pods_token() -> None:
    async with proxied() as (proxy, asked):
        await proxy.drain(NARRATOR, "10.9.9.9", is_on=True)
        await proxy.drain(NARRATOR, "10.9.9.9", is_on=False)
        await proxy.drain(NARRATOR, "10.9.9.8", is_on=True)  # of no pod that is known
        path = "/api/v1/namespaces/default/pods/server-1:9091/proxy/internal/drain"
        token = internal_token("key", "default", "narrator")
        assert asked == [("POST", path, token), ("DELETE", path, token)]


async def test_a_server_that_does_not_answer_is_asked_again_after_a_pause() -> None:
    async with proxied(503) as (proxy, asked):
        proxy.clock = lambda: 100.0
        await proxy.drain(NARRATOR, "10.9.9.9", is_on=True)
        await proxy.drain(NARRATOR, "10.9.9.9", is_on=True)
        assert len(asked) == 1
        proxy.clock = lambda: 111.0
        await proxy.drain(NARRATOR, "10.9.9.9", is_on=True)
        assert len(asked) == 2


async def test_a_fetch_is_read_at_its_pod() -> None:
    async with proxied() as (proxy, asked):
        await proxy.progress(PodState("team-a", "fetch-1", "narrator", "ap", created_at=0.0))
        assert asked == [("GET", "/api/v1/namespaces/team-a/pods/fetch-1:9091/proxy/internal/progress", None)]
