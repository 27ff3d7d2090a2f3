"""The HTTP side of a speech server, where no kubelet runs one.

Does: listens for requests and, on a second port, for gateways; reports its load to those that have the pods' token.
Knows: how the token follows from the installation's key. Does not know: what it answers to a request for speech.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from voxfleet_testbed.fixtures import own_address_or_skip

MAX_BODY_BYTES = 64 * 2**20
SHUTDOWN_SECONDS = 0.1  # for requests that a test has left open
IDLE: dict[str, Any] = {"open_requests": 0, "running_sequences": 0, "waiting_sequences": 0, "free_rows": 8}


@dataclass
class StubServer(ABC):
    """A ready server of a resource in a region; `load` replaces fields of the report of an idle one."""

    region: str
    namespace: str
    name: str
    internal_key: str
    load: dict[str, Any] = field(default_factory=dict)
    address: str = field(default_factory=own_address_or_skip)
    ports: list[int] = field(default_factory=list)  # for requests, for gateways
    runners: list[web.AppRunner] = field(default_factory=list)

    @abstractmethod
    def add_routes(self, app: web.Application) -> None:
        """Add what it answers to requests."""

    async def start(self) -> None:
        """Listen on two free ports of this machine's address."""
        speech, internal = web.Application(client_max_size=MAX_BODY_BYTES), web.Application()
        self.add_routes(speech)
        internal.router.add_get("/internal/load", self._report)
        for app in (speech, internal):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
            await runner.setup()
            await web.TCPSite(runner, self.address, 0).start()
            self.runners.append(runner)
            self.ports.append(int(runner.addresses[0][1]))

    async def stop(self) -> None:
        """Close both ports and what is open."""
        for runner in self.runners:
            await runner.cleanup()

    async def _report(self, request: web.Request) -> web.Response:
        pod = f"pod/{self.namespace}/{self.name}"
        token = hmac.new(self.internal_key.encode(), pod.encode(), hashlib.sha256).hexdigest()
        if request.headers.get("Authorization") != f"Bearer {token}":
            return web.Response(status=401)
        return web.json_response({"model": self.name, "state": "ready", "message": "", **IDLE, **self.load})
