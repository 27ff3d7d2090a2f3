"""Requests to port 6006 of a gateway: by URL, or of a pod through a kubeconfig alone.

Knows: how a gateway is found, its key, OpenAI's form of an error. Does not know: what is asked.
"""

import http.client
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from voxfleet_cli.cluster import CALL_SECONDS, Body, Cluster
from voxfleet_cli.errors import GatewayError, UsageError, reason_of
from voxfleet_cli.gateways import choose_pod, gateways_path

KEY_VARIABLE = "VOXFLEET_API_KEY"
TLS_VARIABLE = "VOXFLEET_TLS_CERTIFICATE"  # of a gateway's container whose port 6006 speaks TLS
PORT_NAME, PORT = "http", 6006
LONGEST_ERROR_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class PublicApi:
    """The speech API. `url`: of a gateway or a server; empty: a gateway of the cluster, of a region if one is given."""

    cluster: Cluster
    namespace: str
    url: str = ""
    region: str = ""
    key: str = field(default="", repr=False)

    @contextmanager
    def request(  # noqa: PLR0913  # the parts of a request
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float = CALL_SECONDS,
        is_checked: bool = True,
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield a successful response, to be read. Raises GatewayError, ClusterError, UsageError."""
        given = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        # Of a URL the host's own name: an ingress routes by it.
        given |= {} if self.url else {"Host": "gateway"}
        with self._connection(timeout_seconds) as (connection, what):
            failed = "did not respond"
            try:
                connection.request(method, path, body, {**given, **(headers or {})})
                response = connection.getresponse()
                failed = "broke off"
                if is_checked and response.status >= HTTPStatus.BAD_REQUEST:
                    raise GatewayError(error_text(what, response))
                yield response
            except TimeoutError as error:
                raise GatewayError(f"{what} sent nothing for {timeout_seconds:.0f} s") from error
            except (OSError, http.client.HTTPException) as error:
                raise GatewayError(f"{what} {failed}: {reason_of(error)}") from error

    def json(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Body:
        """Return a response that is JSON. Raises GatewayError, ClusterError, UsageError."""
        with self.request(method, path, body, headers) as response:
            try:
                found = json.loads(response.read())
            except ValueError as error:
                raise GatewayError(f"{path}: the answer is no JSON; is it the port {PORT} of a gateway?") from error
        if not isinstance(found, dict):
            raise GatewayError(f"{path}: the answer is no JSON object; is it the port {PORT} of a gateway?")
        return found

    @contextmanager
    def _connection(self, timeout_seconds: float) -> Iterator[tuple[http.client.HTTPConnection, str]]:
        if self.url:
            connection = connection_to(self.url, timeout_seconds)
            try:
                yield connection, self.url
            finally:
                connection.close()
            return
        pods = self.cluster.get(gateways_path(self.namespace))["items"]
        pod = choose_pod(pods, self.namespace, self.region)
        name = pod["metadata"]["name"]
        with self.cluster.connection(self.namespace, name, public_port(pod), timeout_seconds) as forwarded:
            if has_tls(pod):
                # The API server has authenticated the pod's node; no certificate names the pod.
                context = ssl._create_unverified_context()  # noqa: S323, SLF001
                forwarded.sock = context.wrap_socket(forwarded.sock)
            yield forwarded, f"gateway {name}"


def connection_to(url: str, timeout_seconds: float) -> http.client.HTTPConnection:
    """Return a connection to the API at a URL. Raises UsageError."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--gateway {url!r} has no usable port: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") not in {"", "v1"}:
        raise UsageError(
            f"--gateway must be a URL such as https://tts.example.com or http://localhost:6006, not {url!r}"
        )
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, port, timeout=timeout_seconds)
    return http.client.HTTPConnection(parts.hostname, port, timeout=timeout_seconds)


def read_key(file: Path | None) -> str:
    """Return the API key of a file, or of the environment; empty without either. Raises UsageError."""
    if file is None:
        return os.environ.get(KEY_VARIABLE, "").strip()
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--key-file {file} can't be read: {reason_of(error)}") from error
    if not key or len(key.split()) != 1:
        raise UsageError(f"--key-file {file} must have one API key and nothing else; voxfleet keys create makes one")
    return key


def error_text(what: str, response: http.client.HTTPResponse) -> str:
    """Return the words of a refusal, with the way out where there is one."""
    try:
        found: Any = json.loads(response.read(LONGEST_ERROR_BYTES))
        message = str(found["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"status {response.status} {response.reason}"
    if response.status == HTTPStatus.UNAUTHORIZED:
        message += f" Give a key by --key-file or {KEY_VARIABLE}; voxfleet keys create makes one."
    if retry := response.headers.get("Retry-After"):
        message += f" Try again in {retry} s."
    return f"{what}: {message}"


def public_port(pod: Body) -> int:
    """Return the container port named `http`."""
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports") or [])
    return next((int(port["containerPort"]) for port in ports if port.get("name") == PORT_NAME), PORT)


def has_tls(pod: Body) -> bool:
    """Whether that port speaks TLS."""
    entries = (entry for container in pod["spec"]["containers"] for entry in container.get("env") or [])
    return any(entry["name"] == TLS_VARIABLE for entry in entries)
