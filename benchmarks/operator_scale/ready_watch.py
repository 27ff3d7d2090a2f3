"""When the last of many resources became Ready, by a watch: unlike scrapes, it costs the operator nothing.

Knows the watch of the Kubernetes API. Does not know what makes a resource Ready.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from resources import RESOURCES
from voxfleet_testbed.cluster.api import Api


@dataclass(slots=True)
class ReadyWatch:
    """The resources that are Ready, by name, and when the newest of them became so."""

    ready: set[str] = field(default_factory=set)
    newest: float = 0.0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_ready(self, resources: int, within_seconds: float) -> float:
        """Return the instant at which that many resources were Ready first.

        Raises:
            TimeoutError: they are not.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.ready) >= resources, within_seconds):
                raise TimeoutError(f"{len(self.ready)} of {resources} are Ready after {within_seconds:.0f} s")
            return self.newest

    def add(self, body: dict[str, Any]) -> None:
        """Look at one version of a resource."""
        name = body["metadata"]["name"]
        if name in self.ready or not _is_ready(body):
            return
        with self.changed:
            self.ready.add(name)
            self.newest = time.monotonic()
            self.changed.notify_all()


@contextmanager
def watched_resources(api: Api) -> Iterator[ReadyWatch]:
    """Watch all resources for as long as the block runs."""
    watch = ReadyWatch()
    connection = http.client.HTTPSConnection(api.host, api.port, context=api.trust, timeout=None)
    connection.request("GET", f"{RESOURCES}?watch=true&timeoutSeconds=7200")
    response = connection.getresponse()
    socket = connection.sock
    thread = threading.Thread(target=_read, args=(response, watch), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        socket.shutdown(2)
        thread.join()
        connection.close()


def _read(response: http.client.HTTPResponse, watch: ReadyWatch) -> None:
    for line in response:
        watch.add(json.loads(line)["object"])


def _is_ready(body: dict[str, Any]) -> bool:
    conditions = (body.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
