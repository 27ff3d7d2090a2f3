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
    presented = (header or "").removeprefix(BEARER)
    return hmac.compare_digest(presented.encode(), token.encode())


def _derive(key: str, purpose: str) -> str:
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()
