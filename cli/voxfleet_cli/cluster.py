"""A cluster through a kubeconfig: objects as raw JSON, and connections to pods through the API server.

Knows: kubeconfigs, the client library, what its errors mean to a user. Does not know: what the objects mean.
"""

import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward

from voxfleet_cli.errors import AbsentError, ClusterError, ConflictError, ForbiddenError
from voxfleet_cli.kubeconfig import UNUSABLE, fault_in, fault_of

CALL_SECONDS = 15
DEFAULT = "~/.kube/config"  # without --kubeconfig and KUBECONFIG
CLOCK_RESOLUTION_SECONDS = 2.0  # the header Date has whole seconds, and an answer takes time
RAISED: dict[int, type[ClusterError]] = {404: AbsentError, 409: ConflictError, 403: ForbiddenError}
CONNECTION_OBJECT = re.compile(
    r"^<?HTTPS?Connection(?:Pool)?\([^)]*\)(?: object at \w+>)?: "
)  # before urllib3's reason
WAYS_OUT = {
    401: "; the kubeconfig's credentials have expired or are another cluster's: log in again, or give --context",
    403: "; `voxfleet doctor` lists the rights that each command needs",
}
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API server."""

    status: int
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the request was carried out."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class PodPorts:
    """The one operation of CoreV1Api that is needed here: making that whole class takes over a second."""

    api_client: client.ApiClient

    def open(self, pod: str, namespace: str, ports: str, **_options: object) -> Any:
        """Send the request as `portforward` has the client send it."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/portforward"
        headers = {"Accept": "*/*"}
        sent = self.api_client.param_serialize(
            "GET", path, query_params=[("ports", ports)], header_params=headers, auth_settings=["BearerToken"]
        )
        return self.api_client.call_api(*sent).response


@dataclass(slots=True)
class Cluster:
    """The cluster of a kubeconfig's context; it is connected to on first use."""

    kubeconfig: str | None = None
    context: str | None = None
    content: Body | None = field(default=None, repr=False)  # a kubeconfig that is in no file
    # How far the API server's clock is ahead of this machine's, by its last answer; within 2 s it is 0.
    clock_ahead_seconds: float = 0.0
    _api: client.ApiClient | None = field(default=None, repr=False)

    @property
    def namespace(self) -> str:
        """The namespace of the context; `default` where it names none."""
        try:
            _, active = config.list_kube_config_contexts(self.kubeconfig)
            contexts, _ = config.list_kube_config_contexts(self.kubeconfig)
        except UNUSABLE as error:
            raise self._no_access(error) from error
        named = next((each for each in contexts if each["name"] == self.context), active)
        found: str = named["context"].get("namespace", "default")
        return found

    def get(self, path: str) -> Body:
        """Return the object or list at a path of the API. Raises ClusterError; AbsentError where there is none."""
        return _as_body(self._succeeded("read", "GET", path).content)

    def get_text(self, path: str) -> str:
        """Return what is no JSON: a log, metrics. Raises ClusterError, AbsentError."""
        return self._succeeded("read", "GET", path).content.decode(errors="replace")

    def post(self, path: str, body: Body) -> Body:
        """Create an object, or ask for a review; return the answer. Raises ClusterError."""
        return _as_body(self._succeeded("post to", "POST", path, body).content)

    def merge(self, path: str, patch: Body) -> Body:
        """Send a merge patch. Raises ClusterError; ConflictError where its resourceVersion is no longer the newest."""
        return _as_body(self._succeeded("change", "PATCH", path, patch).content)

    def _succeeded(self, verb: str, method: str, path: str, body: Body | None = None) -> Answer:
        answer = self.send(method, path, body)
        if answer.is_success:
            return answer
        raised = RAISED.get(answer.status, ClusterError)
        reason = _message(answer.content) or f"status {answer.status}"
        raise raised(f"can't {verb} {unquote(path)}: {reason}{WAYS_OUT.get(answer.status, '')}")

    def send(self, method: str, path: str, body: Body | None = None) -> Answer:
        """Send one request; return its answer, whatever the status. Raises ClusterError when there is none."""
        api = self._client()
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Accept": "application/json, */*", "Content-Type": content_type}
        sent = api.param_serialize(method, path, header_params=headers, body=body, auth_settings=["BearerToken"])
        try:
            # Raw JSON: the client's model classes drop what they do not know.
            response = api.call_api(*sent, _request_timeout=CALL_SECONDS)
            status, content = int(response.status), response.read()
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            text = f"can't send {method} {unquote(path)}: the API server {api.configuration.host} did not respond"
            raise ClusterError(f"{text}: {cause_of(error)}; does it run, and is --context the right one?") from error
        self.clock_ahead_seconds = clock_ahead(response.headers.get("Date"), time.time())
        return Answer(status, content)

    @contextmanager
    def connection(
        self, namespace: str, pod: str, port: int, timeout_seconds: float = CALL_SECONDS
    ) -> Iterator[http.client.HTTPConnection]:
        """Yield an HTTP connection to a pod's port through the API server, as `kubectl port-forward` makes it.

        Not the API server's HTTP proxy: that drops the Authorization header, and NetworkPolicies close it.
        """
        where = f"port {port} of pod {namespace}/{pod}"
        try:
            forwarded = portforward(PodPorts(self._client()).open, pod, namespace, str(port))
        except (ApiException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            text = f"can't connect to {where}: {reason}; this needs the right to create pods/portforward there"
            raise ClusterError(text) from error
        connection = http.client.HTTPConnection(pod, port, timeout=timeout_seconds)
        connection.sock = forwarded.socket(port)
        connection.sock.settimeout(timeout_seconds)
        try:
            yield connection
        except (http.client.HTTPException, OSError) as error:
            detail = forwarded.error(port) or error
            raise ClusterError(f"{where} did not respond: {detail}") from error
        finally:
            connection.close()
            forwarded.close()

    def _client(self) -> client.ApiClient:
        if self._api is None:
            configuration = client.Configuration(retries=False)
            try:
                if self.content is not None:
                    config.load_kube_config_from_dict(self.content, self.context, configuration, persist_config=False)
                else:
                    config.load_kube_config(self.kubeconfig, self.context, configuration, persist_config=False)
            except UNUSABLE as error:
                raise self._no_access(error) from error
            self._api = client.ApiClient(configuration)
        return self._api

    def _no_access(self, error: Exception) -> ClusterError:
        """Return an error that names the kubeconfig which was tried, what is wrong with it, and the way out."""
        if self.content is not None:
            return ClusterError(f"no access to a cluster by the kubeconfig of the region's Secret: {fault_of(error)}")
        given = os.environ.get("KUBECONFIG", "")
        tried = f"--kubeconfig {self.kubeconfig}" if self.kubeconfig else f"KUBECONFIG={given}" if given else DEFAULT
        fault = fault_in(self.kubeconfig or given or DEFAULT, self.context, error)
        return ClusterError(f"no access to a cluster by {tried}: {fault}")


def cause_of(error: Exception) -> str:
    """Return why a connection failed, without the library's own words about its objects: they name no way out."""
    text = " ".join(str(error).split())
    return CONNECTION_OBJECT.sub("", text) or type(error).__name__


def clock_ahead(date: str | None, now: float) -> float:
    """Return how far the clock behind a header Date is ahead of `now`, in seconds; 0 within its resolution."""
    try:
        ahead = parsedate_to_datetime(date or "").timestamp() - now
    except ValueError:
        return 0.0
    return ahead if abs(ahead) > CLOCK_RESOLUTION_SECONDS else 0.0


def _as_body(content: bytes) -> Body:
    body: Body = json.loads(content)
    return body


def _message(text: bytes) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    return str(found.get("message", "")) if isinstance(found, dict) else ""
