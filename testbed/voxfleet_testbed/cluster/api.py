"""A small client of the Kubernetes API: JSON in, JSON out.

Knows: paths, server-side apply, JSON patch, the readiness endpoint. Does not know: any kind of object.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voxfleet_testbed.errors import ApiError, StartError

FIELD_MANAGER = "voxfleet-testbed"  # owner of applied fields; never the operator's, whose ownership tests assert
REQUEST_SECONDS = 30.0
POLL_SECONDS = 0.1
HTTP_ERRORS_FROM = 400


@dataclass(frozen=True, slots=True)
class Api:
    """A client of one API server as one user, by client certificate or bearer token."""

    host: str
    port: int
    trust: ssl.SSLContext
    token: str = ""

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send one request; returns the response's JSON, or its text for other content types.

        Raises:
            ApiError: the status is 400 or above.
        """
        # A connection per request: an API server that restarts must not break a kept one.
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.trust, timeout=REQUEST_SECONDS)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, self._headers(content_type))
            response = connection.getresponse()
            text, is_json = response.read().decode(), "json" in (response.getheader("Content-Type") or "")
        finally:
            connection.close()
        if response.status >= HTTP_ERRORS_FROM:
            raise ApiError(response.status, text[:500])
        return json.loads(text) if is_json else text

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        return {**headers, "Authorization": f"Bearer {self.token}"} if self.token else headers

    def get(self, path: str) -> Any:
        """Read an object or a list."""
        return self.request("GET", path)

    def apply(self, path: str, manifest: Mapping[str, Any]) -> Any:
        """Server-side apply one object at its path; conflicts are forced."""
        query = f"?fieldManager={FIELD_MANAGER}&force=true"
        return self.request("PATCH", path + query, manifest, "application/apply-patch+yaml")

    def patch_status(self, path: str, operations: list[dict[str, Any]]) -> Any:
        """Change an object's status with a JSON patch (RFC 6902)."""
        return self.request("PATCH", f"{path}/status", operations, "application/json-patch+json")

    def delete(self, path: str) -> Any:
        """Delete an object."""
        return self.request("DELETE", path)

    def is_ready(self) -> bool:
        """Return whether /readyz reports ok; an unreachable server is not ready."""
        try:
            return bool(self.get("/readyz") == "ok")
        except (OSError, ApiError, http.client.HTTPException):
            return False

    def wait_for(self, path: str, condition: Callable[[Any], bool], timeout_seconds: float) -> Any:
        """Poll an object until a condition holds; returns the object.

        Args:
            path: the object's path; while it is missing, the condition does not hold.
            condition: called with the object.
            timeout_seconds: the deadline.

        Raises:
            StartError: the deadline passed; the message has the last object or error.
        """
        deadline, seen = time.monotonic() + timeout_seconds, None
        while time.monotonic() < deadline:
            try:
                seen = self.get(path)
                if condition(seen):
                    return seen
            except (OSError, ApiError) as error:
                seen = str(error)
            time.sleep(POLL_SECONDS)
        raise StartError(f"{path} was not as expected after {timeout_seconds:.0f} s: {json.dumps(seen)[:1500]}")


def api_from_kubeconfig(path: Path) -> Api:
    """Return a client for the current context of a kubeconfig; its user has a certificate or a token."""
    config = yaml.safe_load(path.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    trust = ssl.create_default_context()
    if authority := _inline_or_file(cluster, "certificate-authority"):
        trust = ssl.create_default_context(cadata=authority.decode())
    if certificate := _inline_or_file(user, "client-certificate"):
        with tempfile.NamedTemporaryFile() as pair:  # ssl loads a client's key from a file only
            pair.write(certificate + b"\n" + _inline_or_file(user, "client-key"))
            pair.flush()
            trust.load_cert_chain(pair.name)
    server = urllib.parse.urlsplit(cluster["server"])
    return Api(server.hostname or "", server.port or 443, trust, user.get("token", ""))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _inline_or_file(holder: Mapping[str, Any], name: str) -> bytes:
    if f"{name}-data" in holder:
        return base64.b64decode(holder[f"{name}-data"])
    return Path(holder[name]).read_bytes() if name in holder else b""
