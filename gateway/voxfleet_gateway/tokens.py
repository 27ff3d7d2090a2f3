"""Bearer tokens of the internal ports, derived from one key. Pure.

Knows: how a token is derived from the key. Does not know: where the key comes from.
"""

import hashlib
import hmac

BEARER = "Bearer "


def pod_token(key: str, namespace: str, name: str) -> str:
    """Return the token that the pods of one VoxTTSDeployment accept."""
    return _derive(key, f"pod/{namespace}/{name}")


def gateway_token(key: str) -> str:
    """Return the token that gateways accept."""
    return _derive(key, "gateway")


def bearer_matches(header: str | None, token: str) -> bool:
    """Whether an Authorization header holds the token; compares in constant time."""
    given = header or ""
    if not given.isascii() or not given.startswith(BEARER):  # other bytes arrive as surrogates, which no token has
        return False
    return hmac.compare_digest(given.removeprefix(BEARER).encode(), token.encode())


def _derive(key: str, purpose: str) -> str:
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()
