"""The three calls that the gateway makes to a Kubernetes API server: get or list, watch, and patch one object.

Knows: authentication (kubernetes.aio loads kubeconfigs and refreshes in-cluster tokens), which status is which error.
Does not know: what the objects mean. Responses stay dictionaries: building the client's model classes for an event
costs more than everything else that is done with it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from voxfleet_gateway.errors import (
    ClusterConflictError,
    ClusterError,
    ClusterGoneError,
    ClusterRefusedError,
    ClusterUnavailableError,
    GatewayError,
)

CALL_SECONDS = 5.0  # a held request waits for a renewal: a stuck call must end soon
WATCH_SECONDS = 290  # the server ends a watch after this long; a new one continues it
WATCH_SILENCE_SECONDS = 330.0  # beyond WATCH_SECONDS: without a line for so long the connection is dead

JsonObject = dict[str, Any]


async def connect(kubeconfig: str) -> "KubernetesApi":
    """Open a client from a kubeconfig file, or from the pod's service account if the path is empty.

    Raises GatewayError when neither can be loaded.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig:
            await config.load_kube_config(
                config_file=kubeconfig, client_configuration=configuration, persist_config=False
            )
        else:
            config.load_incluster_config(client_configuration=configuration)
    except ConfigException as error:
        raise GatewayError(f"no access to Kubernetes: {error}; set VOXFLEET_KUBECONFIG or run in a pod") from error
    return KubernetesApi(client.ApiClient(configuration))


class KubernetesApi:
    """Calls on paths and dictionaries. Each raises ClusterError or one of its subclasses."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject:
        """Return one object, or one page of a list."""
        return await self._call("GET", path, query or {})

    async def merge_patch(self, path: str, body: JsonObject) -> JsonObject:
        """Patch one object and return its new state."""
        return await self._call("PATCH", path, {"fieldManager": "voxfleet-gateway"}, body)

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[JsonObject]:
        """Yield events until the server ends the watch."""
        wanted = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CALL_SECONDS, sock_read=WATCH_SILENCE_SECONDS)
        response = await self._send("GET", path, wanted, None, limits)
        try:
            await _raise_for_status(response)
            while line := await _readline(response):
                yield _event(line)
        finally:
            response.close()

    async def _call(
        self, method: str, path: str, query: Mapping[str, str], body: JsonObject | None = None
    ) -> JsonObject:
        limits = aiohttp.ClientTimeout(total=CALL_SECONDS)
        response = await self._send(method, path, query, body, limits)
        async with response:
            await _raise_for_status(response)
            try:
                body_read: JsonObject = await response.json()
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise ClusterUnavailableError(f"{method} {path}: response broke off: {error!r}") from error
            return body_read

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: JsonObject | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        url = f"{self._client.configuration.host}{path}?{urlencode(query)}"
        try:
            sent = await self._client.rest_client.request(
                method, url, headers=await self._headers(), body=body, _request_timeout=limits
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            raise ClusterUnavailableError(f"{method} {path}: {error!r}") from error
        response: aiohttp.ClientResponse = sent.response
        return response

    async def _headers(self) -> dict[str, str]:
        """Return the headers of a call, with the token; it is read again when the kubelet has renewed it."""
        auth = await self._client.configuration.auth_settings()
        tokens = {setting["key"]: setting["value"] for setting in auth.values() if setting["value"]}
        return {"Accept": "application/json", "Content-Type": "application/merge-patch+json", **tokens}


async def _readline(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readline()
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        raise ClusterUnavailableError(f"watch broke off: {error!r}") from error


def _event(line: bytes) -> JsonObject:
    """Read one line of a watch; an event of type ERROR is raised as the error that its status means."""
    try:
        event: JsonObject = json.loads(line)
    except ValueError as error:  # the connection ended within a line
        raise ClusterUnavailableError(f"watch broke off within an event of {len(line)} bytes") from error
    if event.get("type") != "ERROR":
        return event
    status = event.get("object", {})
    raise _error_for(int(status.get("code", 500)), str(status.get("message", status)))


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:  # noqa: PLR2004  # the first status that is an error
        return
    try:
        text = (await response.text())[:500]
    except (aiohttp.ClientError, TimeoutError):
        text = "no text"
    response.release()
    raise _error_for(response.status, f"{response.method} {response.url.path}: {response.status}: {text}")


def _error_for(status: int, message: str) -> ClusterError:
    if status in {409, 410}:
        return ClusterConflictError(message) if status == 409 else ClusterGoneError(message)  # noqa: PLR2004
    if status in {401, 429} or status >= 500:  # noqa: PLR2004  # 401 passes when a token is renewed
        return ClusterUnavailableError(message)
    return ClusterRefusedError(message)
