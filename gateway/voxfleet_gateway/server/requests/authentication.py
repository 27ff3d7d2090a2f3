"""Finds the caller of a request by its headers: an API key, or what a gateway of another region says.

Knows: where clients put keys, which paths a public catalog answers without one. `Voxfleet-*` headers of a caller are
read from a known peer only; no other part of a request names a tenant.
Does not know: which keys are valid (accounts/).
"""

from aiohttp import web
from voxfleet_protocols import cartesia
from voxfleet_protocols.subprotocols import offered_key

from voxfleet_gateway.accounts.accounts import Accounts
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.peers.headers import SpilledRequest
from voxfleet_gateway.server.health import HEALTH_PATHS
from voxfleet_gateway.server.paths import canonical
from voxfleet_gateway.server.requests.head_checks import SAFE_METHODS

KEY_SCHEMES = frozenset({"bearer", "token"})  # the second is Deepgram's
KEY_HEADER = "X-API-Key"  # Cartesia's
CARTESIA_PATHS = "/tts/"  # whose clients may send the key in the query too
WITHOUT_KEY = HEALTH_PATHS | {"/", "/fleet"}  # the pages; their requests need the key that is typed there
ASSETS = "/assets/"  # the pages' files
CATALOG_PATHS = frozenset({"/v1", "/v1/models", "/v1/audio/models", "/v1/audio/voices", "/v1/voices"})
CATALOG_PREFIX = "/v1/models/"
# Set by the port for peers (peers.py): the region by its certificate, and what its gateway says about the request.
PEER_REGION = web.RequestKey("peer_region", str)
SPILLED = web.RequestKey("spilled", SpilledRequest)


async def authenticate(request: web.Request, accounts: Accounts) -> Caller:
    """Return the caller, before anything is woken. Raises RequestRefusedError (401)."""
    path = canonical(request.path)
    if path in WITHOUT_KEY or path.startswith(ASSETS):
        return accounts.visitor()
    if (spilled := request.get(SPILLED)) is not None:
        largest = accounts.settings.max_body_bytes
        return Caller(spilled.tenant, spilled.priority, max_body_bytes=largest, peer_region=request[PEER_REGION])
    return accounts.caller(presented_key(request), is_catalog=is_catalog(request.method, path))


def presented_key(request: web.Request) -> str:
    """Return the key that the request presents; empty for none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in KEY_SCHEMES:
        return key.strip()
    if named := request.headers.get(KEY_HEADER, "").strip():
        return named
    if request.path.startswith(CARTESIA_PATHS) and (given := request.query.get("api_key", "")):
        return given
    offered = [each.strip() for each in ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")]
    return offered_key(offered)


def is_catalog(method: str, path: str) -> bool:
    """Whether the request only lists names of models or voices."""
    return method in {"GET", "HEAD"} and (path in CATALOG_PATHS or path.startswith(CATALOG_PREFIX))


def needs_admission(request: web.Request) -> bool:
    """Whether the request counts against its tenant's limits: it may spend something."""
    if canonical(request.path) == cartesia.SOCKET_PATH:
        return False  # its contexts are admitted one by one
    return request.method not in SAFE_METHODS or "upgrade" in request.headers.get("Connection", "").lower()
