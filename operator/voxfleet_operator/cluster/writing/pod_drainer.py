"""Asks inference servers to drain, or to serve on, at their internal port.

Knows the request and its token. Does not know which servers shall drain (decisions/capacity/shrinking.py).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
import structlog

from voxfleet_operator.manifests.pods.containers import INTERNAL_PORT, internal_token
from voxfleet_operator.resources import Key

REQUEST_SECONDS = 2.0  # a server answers at once; the node of a leaving pod may be gone
# A worker waits for each attempt: a pod that does not answer must not take one at every reconcile.
PAUSE_AFTER_FAILURE_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PodDrainer:
    """Sends `POST` and `DELETE /internal/drain`; `failed_at`: when a pod address did not answer last."""

    internal_key: str
    port: int = INTERNAL_PORT
    clock: Callable[[], float] = time.monotonic
    failed_at: dict[str, float] = field(default_factory=dict)

    async def drain(self, key: Key, address: str, *, is_on: bool) -> None:
        """Ask one server; no answer is logged, and the next decision asks again."""
        now = self.clock()
        if not address or now - self.failed_at.get(address, float("-inf")) < PAUSE_AFTER_FAILURE_SECONDS:
            return
        url = f"http://{url_host(address)}:{self.port}/internal/drain"
        token = internal_token(self.internal_key, key.namespace, key.name)
        headers = {"Authorization": f"Bearer {token}"} if self.internal_key else {}
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            # A session for each: drains are rare. Without redirects: the token must not reach another host.
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
                session.request("POST" if is_on else "DELETE", url, allow_redirects=False) as response,
            ):
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            stale = now - PAUSE_AFTER_FAILURE_SECONDS
            self.failed_at = {known: at for known, at in self.failed_at.items() if at > stale} | {address: now}
            log.warning("server not drained", url=url, error=str(error) or type(error).__name__)


def url_host(address: str) -> str:
    """Return an address as the host of a URL."""
    return f"[{address}]" if ":" in address else address  # IPv6 literals need brackets (RFC 3986)
