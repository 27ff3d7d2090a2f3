"""Sends requests to the API server: apply, patch, get, list, watch, delete.

Knows paths, content types and errors. Credentials come from the official client's configuration loaders, so every
kind of kubeconfig and the pod's own rotating token work. Does not know what an object contains.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from voxfleet_operator.names import FIELD_MANAGER

REQUEST_SECONDS = 10.0
# Content types of PATCH, from the Kubernetes API conventions.
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LARGEST_WATCH_EVENT_BYTES = 2**21  # one event is one line; etcd accepts objects of up to 1.5 MiB

NOT_FOUND, CONFLICT, GONE, UNPROCESSABLE = 404, 409, 410, 422

Body = dict[str, Any]


class KubernetesError(Exception):
    """The API server rejected a request (status: its HTTP status), or was not reached (status 0).

    `retry_after_seconds`: its header Retry-After, 0 without one. Subclasses: NotFoundError, ConflictError, GoneError.
    """

    def __init__(self, status: int, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class NotFoundError(KubernetesError):
    """No such object (404)."""


class ConflictError(KubernetesError):
    """The object has changed since the given resourceVersion (409)."""


class GoneError(KubernetesError):
    """The resource version of a watch has expired (410): list again."""


ERRORS: dict[int, type[KubernetesError]] = {NOT_FOUND: NotFoundError, CONFLICT: ConflictError, GONE: GoneError}


class KubernetesApi:
    """Client of one API server. `count_call` gets method and status of each request except watches; 0: no response."""

    def __init__(self, api_client: client.ApiClient, count_call: Callable[[str, int], None]) -> None:
        self._client = api_client
        # A session of our own: the client's would parse every response into its models. No connection limit, because
        # each watch occupies a connection all the time.
        connector = aiohttp.TCPConnector(ssl=api_client.rest_client.ssl_context, limit=0)
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=LARGEST_WATCH_EVENT_BYTES)
        self._count_call = count_call

    @property
    def configuration(self) -> client.Configuration:
        """Address and credentials, which kopf uses too."""
        return self._client.configuration

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self._client.close()

    async def get(self, path: str) -> Body:
        """Return an object or a list. Raises KubernetesError."""
        return await self._request("GET", path)

    async def apply(self, path: str, body: Body) -> Body:
        """Server-side apply: the body must hold all fields that the operator owns, or they are removed.

        Forced: a field that another manager has set becomes the operator's.
        """
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("PATCH", path, query=query, body=body, content_type=APPLY)

    async def dry_run(self, path: str, body: Body) -> Body | None:
        """Return the object that an apply would make, None for one that is not valid. Raises KubernetesError."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "dryRun": "All"}
        try:
            return await self._request("PATCH", path, query=query, body=body, content_type=APPLY)
        except KubernetesError as error:
            if error.status == UNPROCESSABLE:
                return None
            raise

    async def merge(self, path: str, body: Body) -> Body:
        """Merge patch (RFC 7386); a resourceVersion in the metadata makes it conditional (ConflictError)."""
        return await self._request("PATCH", path, query={"fieldManager": FIELD_MANAGER}, body=body, content_type=MERGE)

    async def delete(self, path: str) -> None:
        """Delete an object, and what it owns; one that does not exist is no error."""
        try:
            # The API server's default for a Job leaves its pods behind.
            await self._request("DELETE", path, query={"propagationPolicy": "Background"})
        except NotFoundError:
            return

    async def watch(self, path: str, query: dict[str, str], timeout_seconds: float) -> AsyncIterator[Body]:
        """Yield the events of one watch until the server ends it; raises TimeoutError after that much silence."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=timeout_seconds)
        query = {"watch": "true", "allowWatchBookmarks": "true", **query}
        headers = await self._headers()
        async with self._session.get(self._url(path), params=query, headers=headers, timeout=timeout) as response:
            if response.status >= 400:  # noqa: PLR2004 - first of HTTP's error codes
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
        status = 0
        headers = await self._headers() | {"Content-Type": content_type}
        data = json.dumps(body) if body is not None else None
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with self._session.request(
                method, self._url(path), params=query, data=data, headers=headers, timeout=timeout
            ) as response:
                status = response.status
                if status >= 400:  # noqa: PLR2004 - first of HTTP's error codes
                    raise await _error(response)
                parsed: Body = await response.json()
                return parsed
        except (aiohttp.ClientError, TimeoutError) as error:
            raise KubernetesError(
                0, f"{method} {path}: API server not reached: {error or type(error).__name__}"
            ) from error
        finally:
            self._count_call(method, status)

    def _url(self, path: str) -> str:
        return f"{self._client.configuration.host}{path}"

    async def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers


async def connect(
    kubeconfig: str, count_call: Callable[[str, int], None] = lambda _method, _status: None
) -> KubernetesApi:
    """Return a client by the given file, else by the pod's service account, else by KUBECONFIG.

    Raises ConfigException when none of them names a cluster.
    """
    configuration = client.Configuration()
    if kubeconfig:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    else:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=configuration)
    return KubernetesApi(client.ApiClient(configuration), count_call)


async def _error(response: aiohttp.ClientResponse) -> KubernetesError:
    text = await response.text()
    try:
        message = json.loads(text).get("message", text)
    except ValueError:  # a proxy in between answers in HTML
        message = text
    kind = ERRORS.get(response.status, KubernetesError)
    text = f"{response.method} {response.url.path}: {response.status} {message}"
    return kind(response.status, text, retry_after_seconds(response.headers.get("Retry-After", "")))


def retry_after_seconds(header: str) -> float:
    """Return the seconds of a header Retry-After; 0 for none, and for a date, which the API server never sends."""
    return float(header) if header.isascii() and header.isdigit() else 0.0
