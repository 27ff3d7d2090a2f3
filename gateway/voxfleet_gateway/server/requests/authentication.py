"""Finds the caller of a request by its headers: an API key, or what a gateway of another region says.

Knows: where clients put keys, which paths a public catalog answers without one. `Voxfleet-*` headers of a caller are
read from a known peer only; no other part of a request names a tenant.
Does not know: which keys are valid (accounts/).
"""

from aiohttp import web

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.peers.headers import SpilledRequest
from voxfleet_gateway.server.health import HEALTH_PATHS
from voxfleet_gateway.server.requests.head_checks import SAFE_METHODS

BEARER = "bearer"
SUBPROTOCOL_KEY = "openai-insecure-api-key."  # OpenAI's, for browsers, which cannot set headers of a WebSocket
WITHOUT_KEY = HEALTH_PATHS | {"/"}  # the page itself; its requests need the key that is typed there
CATALOG_PATHS = frozenset({"/v1/models", "/v1/audio/models", "/v1/audio/voices", "/v1/voices"})
CATALOG_PREFIX = "/v1/models/"
# Set by the port for peers (peers.py): the region by its certificate, and what its gateway says about the request.
PEER_REGION = web.RequestKey("peer_region", str)
SPILLED = web.RequestKey("spilled", SpilledRequest)


async def authenticate(request: web.Request, accounts: Accounts) -> Caller:
    """Return the caller, before anything is woken. Raises RequestRefusedError (401)."""
    if request.path in WITHOUT_KEY:
        return accounts.visitor()
    if (spilled := request.get(SPILLED)) is not None:
        largest = accounts.settings.max_body_bytes
        return Caller(spilled.tenant, spilled.priority, max_body_bytes=largest, peer_region=request[PEER_REGION])
    return accounts.caller(presented_key(request), is_catalog=is_catalog(request.method, request.path))


def presented_key(request: web.Request) -> str:
    """Return the key that the request presents; empty for none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == BEARER:
        return key.strip()
    offered = [each.strip() for each in ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")]
    return next((each.removeprefix(SUBPROTOCOL_KEY) for each in offered if each.startswith(SUBPROTOCOL_KEY)), "")


def is_catalog(method: str, path: str) -> bool:
    """Whether the request only lists names of models or voices."""
    return method in {"GET", "HEAD"} and (path in CATALOG_PATHS or path.startswith(CATALOG_PREFIX))


def needs_admission(request: web.Request) -> bool:
    """Whether the request counts against its tenant's limits: it may spend something."""
    return request.method not in SAFE_METHODS or "upgrade" in request.headers.get("Connection", "").lower()
