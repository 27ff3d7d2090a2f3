"""Bearer tokens of the internal ports, derived from one key. Pure.

Knows: how a token is derived from the key. Does not know: where the key comes from.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

BEARER = "Bearer "
# The operator of another cluster comes through the API server here, which takes Authorization off.
INTERNAL_TOKEN = "Voxfleet-Internal-Token"  # noqa: S105 - the name of a header


def pod_token(key: str, namespace: str, name: str) -> str:
    """Return the token that the pods of one VoxTTSDeployment accept."""
    return _derive(key, f"pod/{namespace}/{name}")


def gateway_token(key: str) -> str:
    """Return the token that gateways accept."""
    return _derive(key, "gateway")


def voice_token(key: str, tenant: str, expires_seconds: int) -> str:
    """Return the token by which a pod fetches the voices of a tenant, for whose request it was sent, until a time."""
    written = base64.urlsafe_b64encode(tenant.encode()).decode()
    return f"{expires_seconds}.{written}.{_derive(key, f'voices/{expires_seconds}/{written}')}"


def tenant_of_voice_token(key: str, header: str | None, now_seconds: float) -> str | None:
    """Return the tenant whose voices an Authorization header gives access to; None without a valid token."""
    expires, _, rest = (header or "").removeprefix(BEARER).partition(".")
    written, _, mac = rest.partition(".")
    if not (mac.isascii() and hmac.compare_digest(mac, _derive(key, f"voices/{expires}/{written}"))):
        return None
    return base64.urlsafe_b64decode(written).decode() if now_seconds < int(expires) else None


def bearer_matches(header: str | None, token: str) -> bool:
    """Whether an Authorization header holds the token; compares in constant time."""
    given = header or ""
    if not given.isascii() or not given.startswith(BEARER):  # other bytes arrive as surrogates, which no token has
        return False
    return hmac.compare_digest(given.removeprefix(BEARER).encode(), token.encode())


def internal_matches(headers: Mapping[str, str], token: str) -> bool:
    """Whether a request's headers hold an internal port's token, as bearer or as an API server passes it on."""
    return bearer_matches(headers.get("Authorization") or BEARER + headers.get(INTERNAL_TOKEN, ""), token)


def _derive(key: str, purpose: str) -> str:
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()
