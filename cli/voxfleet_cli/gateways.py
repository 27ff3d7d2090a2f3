"""Asks a gateway's internal port: by URL, or through a kubeconfig alone.

Knows: the chart's labels of gateways, where their key is, how the token is derived from it.
Does not know: what is asked, what the answer means.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from voxfleet_cli.cluster import CALL_SECONDS, Cluster
from voxfleet_cli.errors import ClusterError, GatewayError, UsageError, reason_of

SELECTOR = "app.kubernetes.io/name=voxfleet,app.kubernetes.io/component=gateway"
REGION_LABEL = "voxfleet.dev/region"
KEY_VARIABLE = "VOXFLEET_INTERNAL_KEY"
SECRET, SECRET_KEY = "voxfleet-internal", "key"  # of the chart, unless it was given another one
PORT_NAME, PORT = "internal", 9091

Body = dict[str, Any]


def gateway_token(key: str) -> str:
    """Return the bearer token of the gateways' internal ports."""
    return hmac.new(key.encode(), b"gateway", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Gateways:
    """The gateways of one installation. `url`: one gateway's internal port; empty: found in the cluster."""

    cluster: Cluster
    namespace: str
    url: str = ""
    region: str = ""  # of the gateway that is asked; empty: any

    def get(self, path: str, query: dict[str, str]) -> Body:
        """Return a gateway's answer. Raises GatewayError, ClusterError."""
        target = f"{path}?{urlencode(query)}"
        if self.url:
            return self._get_by_url(target)
        pods = self.cluster.get(gateways_path(self.namespace))["items"]
        pod = choose_pod(pods, self.namespace, self.region)
        name, token = pod["metadata"]["name"], gateway_token(self._key(pod))
        with self.cluster.connection(self.namespace, name, internal_port(pod)) as connection:
            return _answer(connection, target, token, f"gateway {name}")

    def _get_by_url(self, target: str) -> Body:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            message = f"--gateway must be the URL of a gateway's internal port, such as http://127.0.0.1:{PORT}"
            raise UsageError(f"{message}, not {self.url!r}")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[parts.scheme](parts.hostname, parts.port or PORT, timeout=CALL_SECONDS)
        try:
            return _answer(connection, target, gateway_token(self._key(None)), self.url)
        except (OSError, http.client.HTTPException) as error:
            raise GatewayError(f"{self.url} did not respond: {reason_of(error)}") from error
        finally:
            connection.close()

    def _key(self, pod: Body | None) -> str:
        """Return the installation's key: of the environment, or of the Secret that the pod reads."""
        if given := os.environ.get(KEY_VARIABLE):
            return given
        name, key = secret_of(pod) if pod else (SECRET, SECRET_KEY)
        try:
            found = self.cluster.get(f"/api/v1/namespaces/{self.namespace}/secrets/{name}")
            return base64.b64decode(found["data"][key], validate=True).decode()
        except ClusterError as error:
            raise ClusterError(f"the gateways' key is needed, in {KEY_VARIABLE} or to be read: {error}") from error
        except (KeyError, binascii.Error, UnicodeDecodeError) as error:
            raise ClusterError(f"Secret {self.namespace}/{name} has no usable entry {key!r}: {error}") from error


def gateways_path(namespace: str) -> str:
    """Return the API path of an installation's gateways."""
    return f"/api/v1/namespaces/{namespace}/pods?{urlencode({'labelSelector': SELECTOR})}"


def choose_pod(pods: list[Body], namespace: str, region: str) -> Body:
    """Return the first ready gateway, by name. Raises ClusterError, which says where it was looked for."""
    there = [pod for pod in pods if not region or region_of(pod) == region]
    ready = [pod for pod in there if _is_ready(pod)]
    if not ready:
        what = f"gateway of region {region}" if region else "gateway"
        fault = f"none of the {len(there)} pods of a {what} is ready" if there else f"there is no {what}"
        others = sorted({region_of(pod) for pod in pods} - {region, ""})
        known = f" (regions with gateways: {', '.join(others)})" if region and others else ""
        raise ClusterError(
            f"{fault} in namespace {namespace}{known}; --system-namespace names another, --gateway a URL"
        )
    return min(ready, key=lambda pod: str(pod["metadata"]["name"]))


def region_of(pod: Body) -> str:
    """Return the region of a gateway's pod; empty for a gateway without one."""
    return str((pod["metadata"].get("labels") or {}).get(REGION_LABEL, ""))


def _is_ready(pod: Body) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def internal_port(pod: Body) -> int:
    """Return the container port named `internal`."""
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports") or [])
    return next((int(port["containerPort"]) for port in ports if port.get("name") == PORT_NAME), PORT)


def secret_of(pod: Body) -> tuple[str, str]:
    """Return name and key of the Secret that the pod's key comes from."""
    entries = (entry for container in pod["spec"]["containers"] for entry in container.get("env") or [])
    for entry in entries:
        reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
        if entry["name"] == KEY_VARIABLE and reference:
            return str(reference["name"]), str(reference["key"])
    return SECRET, SECRET_KEY


def _answer(connection: http.client.HTTPConnection, target: str, token: str, what: str) -> Body:
    connection.request("GET", target, headers={"Authorization": f"Bearer {token}", "Host": "gateway"})
    response = connection.getresponse()
    text = response.read()
    try:
        found = json.loads(text)
    except ValueError as error:
        hint = "an older gateway has no such path" if response.status == HTTPStatus.NOT_FOUND else "not JSON"
        raise GatewayError(f"{what} answered with status {response.status}: {hint}") from error
    if response.status != HTTPStatus.OK:
        message = (found.get("error") or {}).get("message") or f"status {response.status}"
        raise GatewayError(f"{what}: {message}")
    body: Body = found
    return body
