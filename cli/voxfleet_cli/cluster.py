"""A cluster through a kubeconfig: objects as raw JSON, and connections to pods through the API server.

Knows: kubeconfigs, the client library, what its errors mean to a user. Does not know: what the objects mean.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.stream import portforward

from voxfleet_cli.errors import AbsentError, ClusterError

CALL_SECONDS = 15

Body = dict[str, Any]


@dataclass(slots=True)
class Cluster:
    """The cluster of a kubeconfig's context; it is connected to on first use."""

    kubeconfig: str | None = None
    context: str | None = None
    _api: client.ApiClient | None = field(default=None, repr=False)

    @property
    def namespace(self) -> str:
        """The namespace of the context; `default` where it names none."""
        try:
            _, active = config.list_kube_config_contexts(self.kubeconfig)
            contexts, _ = config.list_kube_config_contexts(self.kubeconfig)
        except (ConfigException, OSError) as error:
            raise _no_access(error) from error
        named = next((each for each in contexts if each["name"] == self.context), active)
        found: str = named["context"].get("namespace", "default")
        return found

    def get(self, path: str) -> Body:
        """Return the object or list at a path of the API. Raises ClusterError; AbsentError where there is none."""
        api = self._client()
        sent = api.param_serialize(
            "GET", path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        try:
            # Raw JSON: the client's model classes drop what they do not know.
            response = api.call_api(*sent, _request_timeout=CALL_SECONDS)
            status, text = int(response.status), response.read()
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"can't read {path}: the API server did not respond: {error}") from error
        if status == HTTPStatus.OK:
            found: Body = json.loads(text)
            return found
        raised = AbsentError if status == HTTPStatus.NOT_FOUND else ClusterError
        raise raised(f"can't read {path}: {_message(text) or f'status {status}'}")

    @contextmanager
    def connection(self, namespace: str, pod: str, port: int) -> Iterator[http.client.HTTPConnection]:
        """Yield an HTTP connection to a pod's port through the API server, as `kubectl port-forward` makes it.

        Not the API server's HTTP proxy: that drops the Authorization header, and NetworkPolicies close it.
        """
        core = client.CoreV1Api(self._client())
        where = f"port {port} of pod {namespace}/{pod}"
        try:
            forwarded = portforward(core.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
        except (ApiException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            text = f"can't connect to {where}: {reason}; this needs the right to create pods/portforward there"
            raise ClusterError(text) from error
        connection = http.client.HTTPConnection(pod, port, timeout=CALL_SECONDS)
        connection.sock = forwarded.socket(port)
        connection.sock.settimeout(CALL_SECONDS)
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
                config.load_kube_config(self.kubeconfig, self.context, configuration, persist_config=False)
            except (ConfigException, OSError) as error:
                raise _no_access(error) from error
            self._api = client.ApiClient(configuration)
        return self._api


def _no_access(error: Exception) -> ClusterError:
    return ClusterError(f"no access to a cluster: {error}; set --kubeconfig or KUBECONFIG")


def _message(text: bytes) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    return str(found.get("message", "")) if isinstance(found, dict) else ""
