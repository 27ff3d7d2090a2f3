"""Sends requests to one API server: apply, patch, get, list, watch, delete, and to a pod's port through it.

Knows paths, content types and errors. Does not know where the server's address and credentials come from
(endpoints.py), nor what an object contains.
"""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import aiohttp

from voxfleet_operator.cluster.endpoints import Endpoint, home_endpoint
from voxfleet_operator.names import FIELD_MANAGER

REQUEST_SECONDS = 10.0
# Content types of PATCH, from the Kubernetes API conventions.
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LARGEST_WATCH_EVENT_BYTES = 2**21  # one event is one line; etcd accepts objects of up to 1.5 MiB
# A page of 500 objects; the API server of a remote region is its author's, and must not fill the operator's memory.
LARGEST_ANSWER_BYTES = 2**26

FORBIDDEN, NOT_FOUND, CONFLICT, GONE, UNPROCESSABLE = 403, 404, 409, 410, 422
FIRST_ERROR = 300  # redirects too: no API server sends one, and credentials must not reach another host

LONGEST_ERROR_TEXT = 500  # of an answer that is no Kubernetes Status

Body = dict[str, Any]


class PodPort(NamedTuple):
    """A port of a pod, to which the API server passes requests on."""

    namespace: str
    name: str
    port: int


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

    def __init__(self, endpoint: Endpoint, count_call: Callable[[str, int], None]) -> None:
        self.endpoint = endpoint
        # A session of our own: the official client's would parse every response into its models. No connection limit,
        # because each watch occupies a connection all the time.
        connector = aiohttp.TCPConnector(ssl=endpoint.trust, limit=0, socket_factory=endpoint.socket_factory)
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=LARGEST_WATCH_EVENT_BYTES)
        self._count_call = count_call

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        await self.endpoint.close()

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

    async def create(self, path: str, body: Body) -> Body:
        """Create an object in a collection; one that exists raises ConflictError and stays as it is."""
        return await self._request("POST", path, query={"fieldManager": FIELD_MANAGER}, body=body)

    async def delete(self, path: str, preconditions: dict[str, str] | None = None) -> None:
        """Delete an object, and what it owns; one that does not exist is no error.

        `preconditions`: uid and resourceVersion that the object must have still (ConflictError).
        """
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions} if preconditions else None
        try:
            # The API server's default for a Job leaves its pods behind.
            await self._request("DELETE", path, query={"propagationPolicy": "Background"}, body=body)
        except NotFoundError:
            return

    async def proxy(self, method: str, pod: PodPort, path: str, headers: dict[str, str]) -> bytes:
        """Send a request to a pod's port through the API server, and return the answer's body.

        The API server takes the header Authorization off, so a token for the pod must be in another one.
        """
        url = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}:{pod.port}/proxy{path}"
        return await self._send(method, url, headers=headers)

    async def watch(self, path: str, query: dict[str, str], timeout_seconds: float) -> AsyncIterator[Body]:
        """Yield the events of one watch until the server ends it; raises TimeoutError after that much silence."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS, sock_read=timeout_seconds)
        query = {"watch": "true", "allowWatchBookmarks": "true", **query}
        headers = await self._headers()
        async with self._session.get(
            self._url(path), params=query, headers=headers, timeout=timeout, **self._safely
        ) as response:
            if response.status >= FIRST_ERROR:
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
        data = json.dumps(body) if body is not None else None
        answer = await self._send(method, path, query=query, data=data, headers={"Content-Type": content_type})
        try:
            parsed: Body = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise KubernetesError(0, f"{method} {path}: the answer is no JSON: {answer[:100]!r}") from error
        return parsed

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        data: str | None = None,
        headers: dict[str, str],
    ) -> bytes:
        status = 0
        all_headers = await self._headers() | headers
        timeout = aiohttp.ClientTimeout(total=self.endpoint.request_seconds)
        try:
            async with self._session.request(
                method, self._url(path), params=query, data=data, headers=all_headers, timeout=timeout, **self._safely
            ) as response:
                status = response.status
                if status >= FIRST_ERROR:
                    raise await _error(response)
                return await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubernetesError(
                0, f"{method} {path}: API server not reached: {error or type(error).__name__}"
            ) from error
        finally:
            self._count_call(method, status)

    @property
    def _safely(self) -> dict[str, Any]:
        return {"allow_redirects": False, "server_hostname": self.endpoint.server_hostname}

    def _url(self, path: str) -> str:
        return f"{self.endpoint.host}{path}"

    async def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "User-Agent": FIELD_MANAGER} | await self.endpoint.authorization()


async def connect(
    kubeconfig: str, count_call: Callable[[str, int], None] = lambda _method, _status: None
) -> KubernetesApi:
    """Return a client by the given file, else by the pod's service account, else by KUBECONFIG.

    Raises ConfigException when none of them names a cluster.
    """
    return KubernetesApi(await home_endpoint(kubeconfig), count_call)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the whole body. Raises KubernetesError for one that is too long."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_ANSWER_BYTES:
            raise KubernetesError(0, f"{response.method} {response.url.path}: over {LARGEST_ANSWER_BYTES} bytes")
    return b"".join(chunks)


async def _error(response: aiohttp.ClientResponse) -> KubernetesError:
    text = (await _read(response)).decode(errors="replace")
    try:
        message = json.loads(text)["message"]
    except (ValueError, RecursionError, LookupError, TypeError):  # a proxy in between answers in HTML
        message = text[:LONGEST_ERROR_TEXT]
    kind = ERRORS.get(response.status, KubernetesError)
    text = f"{response.method} {response.url.path}: {response.status} {message}"
    return kind(response.status, text, retry_after_seconds(response.headers.get("Retry-After", "")))


def retry_after_seconds(header: str) -> float:
    """Return the seconds of a header Retry-After; 0 for none, and for a date, which the API server never sends."""
    return float(header) if header.isascii() and header.isdigit() else 0.0
