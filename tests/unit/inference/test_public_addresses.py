from __future__ import annotations

import pytest
from voxfleet_inference.public_addresses import checked_addresses, parse_addresses


def test_addresses_are_between_commas() -> None:
    assert parse_addresses(checked_addresses(" 203.0.113.7, 2001:db8::1,")) == ("203.0.113.7", "2001:db8::1")
    assert parse_addresses(checked_addresses("")) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [("voice.example", "'voice.example' is no IP address"), ("203.0.113.7,203.0.113.8", "two addresses of one IP")],
)
def test_names_and_two_of_one_version_are_rejected(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_addresses(text)
