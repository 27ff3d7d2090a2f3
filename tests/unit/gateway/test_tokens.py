"""Tokens of the internal ports, as pods and operator derive them."""

import hashlib
import hmac

import pytest
from voxfleet_gateway.tokens import bearer_matches, gateway_token, internal_matches, pod_token


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


@pytest.mark.parametrize(
    ("headers", "matches"),
    [
        ({"Authorization": "Bearer t"}, True),
        ({"Voxfleet-Internal-Token": "t"}, True),  # an API server between has taken Authorization off
        ({"Voxfleet-Internal-Token": "x"}, False),
        ({"Authorization": "Bearer x", "Voxfleet-Internal-Token": "t"}, False),
        ({}, False),
    ],
)
def test_a_request_through_an_api_server_has_the_token_in_a_header_of_its_own(
    headers: dict[str, str],
    matches: bool,  # noqa: FBT001
) -> None:
    assert internal_matches(headers, "t") is matches
