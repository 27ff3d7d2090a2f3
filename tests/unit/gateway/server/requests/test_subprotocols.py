"""The key that a browser offers, as the inference server reads it."""

import pytest
from voxfleet_gateway.server.requests.subprotocols import TAKEN, offered_key
from voxfleet_inference.admission import subprotocols as pods

CASES = [
    ([], ""),
    (["realtime"], ""),
    (["realtime, openai-insecure-api-key.abc"], "abc"),
    (["openai-insecure-api-key.abc", "realtime"], "abc"),
    (["openai-insecure-api-key.a,openai-insecure-api-key.b"], "a"),
    (["openai-insecure-api-key."], ""),
]


@pytest.mark.parametrize(("headers", "key"), CASES)
def test_gateway_and_server_read_the_same_key(headers: list[str], key: str) -> None:
    assert offered_key(headers) == key
    assert pods.offered_key([each.strip() for header in headers for each in header.split(",")]) == key


def test_gateway_and_server_select_the_same_subprotocol() -> None:
    assert pods.TAKEN == TAKEN
