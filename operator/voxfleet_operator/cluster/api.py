"""Sends requests to the API server: apply, patch, get, list, watch, delete.

Knows paths, content types and errors. Credentials come from the official client's configuration loaders, so every
kind of kubeconfig and the pod's own rotating token work. Does not know any object of ours.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from voxfleet_operator.names import FIELD_MANAGER

REQUEST_SECONDS = 10.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LARGEST_WATCH_EVENT_BYTES = 2**21

NOT_FOUND, CONFLICT, GONE = 404, 409, 410

Body = dict[str, Any]


class KubernetesError(Exception):
    """The API server refused, or could not be reached (status 0).

    Subclasses: NotFoundError, ConflictError, GoneError.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NotFoundError(KubernetesError):
    """No such object (404)."""


class ConflictError(KubernetesError):
    """Somebody else was faster (409)."""


class GoneError(KubernetesError):
    """The watch is too old to be continued (410): list anew."""


ERRORS: dict[int, type[KubernetesError]] = {NOT_FOUND: NotFoundError, CONFLICT: ConflictError, GONE: GoneError}


class KubernetesApi:
    """One API server."""

    def __init__(self, api_client: client.ApiClient) -> None:
        self._client = api_client
        connector = aiohttp.TCPConnector(ssl=api_client.rest_client.ssl_context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=LARGEST_WATCH_EVENT_BYTES)
        self.calls: dict[str, int] = {}

    @property
    def configuration(self) -> client.Configuration:
        """Address and credentials, for kopf."""
        return self._client.configuration

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._client.close()

    async def get(self, path: str) -> Body:
        """One object, or a list."""
        return await self._request("GET", path)

    async def apply(self, path: str, body: Body) -> Body:
        """Server-side apply of an object with all fields that are ours."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", path, query=query, body=body, content_type=APPLY)

    async def merge(self, path: str, body: Body) -> Body:
        """Merge patch; a resourceVersion in the metadata makes it conditional."""
        return await self._request("PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=body, content_type=MERGE)

    async def delete(self, path: str) -> None:
        """Delete; what is gone already is fine."""
        try:
            await self._request("DELETE", path)
        except NotFoundError:
            return

    async def watch(self, path: str, query: dict[str, str], timeout_seconds: float) -> AsyncIterator[Body]:
        """Events of one watch until the server ends it; silence beyond the timeout counts as broken."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=timeout_seconds)
        query = {"watch": "true", "allowWatchBookmarks": "true", **query}
        headers = await self._headers()
        async with self._session.get(self._url(path), params=query, headers=headers, timeout=timeout) as response:
            if response.status >= 400:  # noqa: PLR2004 - the begin of HTTP's errors
                raise await _error(response)
            async for line in response.content:
                yield json.loads(line)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Body | None = None,
        content_type: str = "application/json",
    ) -> Body:
        self.calls[method] = self.calls.get(method, 0) + 1
        headers = await self._headers() | {"Content-Type": content_type}
        data = json.dumps(body) if body is not None else None
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with self._session.request(
                method, self._url(path), params=query, data=data, headers=headers, timeout=timeout
            ) as response:
                if response.status >= 400:  # noqa: PLR2004 - the begin of HTTP's errors
                    raise await _error(response)
                answer: Body = await response.json()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KubernetesError(
                0, f"{method} {path}: API server not reached: {error or type(error).__name__}"
            ) from error

    def _url(self, path: str) -> str:
        return f"{self._client.configuration.host}{path}"

    async def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers


async def connect(kubeconfig: str) -> KubernetesApi:
    """By the given file, else by KUBECONFIG, else with the pod's own account."""
    configuration = client.Configuration()
    if kubeconfig:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    else:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
    return KubernetesApi(client.ApiClient(configuration))


async def _error(response: aiohttp.ClientResponse) -> KubernetesError:
    text = await response.text()
    try:
        message = json.loads(text).get("message", text)
    except ValueError:
        message = text
    kind = ERRORS.get(response.status, KubernetesError)
    return kind(response.status, f"{response.method} {response.url.path}: {response.status} {message}")
