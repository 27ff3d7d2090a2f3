"""The calls to an API server, against a small server that responds like one, or wrongly."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway.cluster.api import KubernetesApi, connect
from voxfleet_gateway.errors import (
    ClusterConflictError,
    ClusterError,
    ClusterGoneError,
    ClusterRefusedError,
    ClusterUnavailableError,
    GatewayError,
)

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[KubernetesApi]]


def kubeconfig(folder: Path, port: int) -> str:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "made-up"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return str(path)


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []
    apis: list[KubernetesApi] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> KubernetesApi:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runners.append(web.AppRunner(app, shutdown_timeout=0.1))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        apis.append(await connect(kubeconfig(tmp_path, runners[-1].addresses[0][1])))
        return apis[-1]

    yield start
    for api in apis:
        await api.close()
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ClusterRefusedError),
        (401, ClusterUnavailableError),
        (403, ClusterRefusedError),
        (404, ClusterRefusedError),
        (409, ClusterConflictError),
        (410, ClusterGoneError),
        (429, ClusterUnavailableError),
        (500, ClusterUnavailableError),
        (503, ClusterUnavailableError),
    ],
)
async def test_every_error_status_is_one_error_class(serve: Serve, status: int, error: type[ClusterError]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"message": "the reason"}, status=status)

    api = await serve(answer)
    with pytest.raises(error, match="the reason"):
        await api.get("/api")
    with pytest.raises(error, match="the reason"):
        async for _ in api.watch("/api", {}):
            pass


async def test_a_patch_is_a_merge_patch_with_our_name_and_token(serve: Serve) -> None:
    seen: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        seen.update(body=await request.json(), headers=request.headers, query=dict(request.query))
        return web.json_response({"ok": True})

    api = await serve(answer)
    assert await api.merge_patch("/x", {"spec": {"a": 1}}) == {"ok": True}
    assert seen["body"] == {"spec": {"a": 1}}
    assert seen["headers"]["Content-Type"] == "application/merge-patch+json"
    assert seen["headers"]["Authorization"].lower() == "bearer made-up"
    assert seen["query"] == {"fieldManager": "voxfleet-gateway"}


def watching(*lines: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == "true"
        assert request.query["allowWatchBookmarks"] == "true"
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        return response

    return answer


async def test_a_watch_yields_events_until_the_server_ends_it(serve: Serve) -> None:
    api = await serve(watching(b'{"type": "ADDED", "object": {}}\n', b'{"type": "BOOKMARK", ', b'"object": {}}\n'))
    assert [event["type"] async for event in api.watch("/x", {"resourceVersion": "5"})] == ["ADDED", "BOOKMARK"]


async def test_a_watch_s_own_error_is_raised(serve: Serve) -> None:
    api = await serve(watching(b'{"type": "ERROR", "object": {"code": 410, "message": "too old"}}\n'))
    with pytest.raises(ClusterGoneError, match="too old"):
        async for _ in api.watch("/x", {}):
            pass


async def test_a_watch_cut_within_a_line_is_unavailable(serve: Serve) -> None:
    api = await serve(watching(b'{"type": "ADDED", "obj'))
    with pytest.raises(ClusterUnavailableError):
        async for _ in api.watch("/x", {}):
            pass


async def test_a_refused_connection_is_unavailable(tmp_path: Path) -> None:
    api = await connect(kubeconfig(tmp_path, 1))
    with pytest.raises(ClusterUnavailableError):
        await api.get("/api")
    await api.close()


async def test_without_a_configuration_the_error_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(GatewayError, match="VOXFLEET_KUBECONFIG"):
        await connect("")
    with pytest.raises(GatewayError, match="VOXFLEET_KUBECONFIG"):
        await connect(str(tmp_path / "missing"))
