"""Tokens of the internal ports, as pods and operator derive them."""

import hashlib
import hmac

import pytest
from voxfleet_gateway.tokens import bearer_matches, gateway_token, pod_token


def test_tokens_are_derived_from_the_key_by_the_contract() -> None:
    assert (
        pod_token("key", "default", "narrator") == hmac.new(b"key", b"pod/default/narrator", hashlib.sha256).hexdigest()
    )
    assert gateway_token("key") == hmac.new(b"key", b"gateway", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("header", "matches"),
    [("Bearer t", True), ("Bearer x", False), ("", False), (None, False), ("t", False), ("Bearer \udcff\udcfe", False)],
)
def test_only_the_token_itself_matches(header: str | None, matches: bool) -> None:  # noqa: FBT001
    assert bearer_matches(header, "t") is matches
