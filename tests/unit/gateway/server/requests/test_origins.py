"""Pages of other sites cannot use the gateway through a visitor's browser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.server.requests.origins import is_foreign_page


@pytest.mark.parametrize(
    ("origin", "host", "site", "foreign"),
    [
        (None, "tts.example.com", "", False),  # a program
        (None, "tts.example.com", "none", False),  # typed into the address bar
        (None, "tts.example.com", "cross-site", True),
        (None, "tts.example.com", "same-site", True),
        ("https://tts.example.com", "tts.example.com", "", False),
        ("https://tts.example.com", "tts.example.com:443", "", False),
        ("https://tts.example.com:8443", "tts.example.com", "", True),
        ("http://tts.example.com", "tts.example.com", "", True),  # DNS rebinding
        ("http://localhost:6006", "localhost:6006", "", False),
        ("http://127.0.0.1:6006", "127.0.0.1:6006", "", False),
        ("http://[::1]:6006", "[::1]:6006", "", False),
        ("http://gateway.voxfleet-system.svc:6006", "gateway.voxfleet-system.svc:6006", "", False),
        ("http://tts.example.com", "tts.example.com", "same-origin", False),
        ("https://evil.example", "tts.example.com", "", True),
        ("https://evil.example", "tts.example.com", "cross-site", True),
        ("null", "tts.example.com", "", True),
        ("", "", "", True),
        ("https://tts.example.com@evil.example", "tts.example.com", "", True),
        ("https://x:99999", "x", "", True),
    ],
)
def test_only_the_gateways_own_pages_are_not_foreign(
    origin: str | None, host: str, site: str, *, foreign: bool
) -> None:
    assert is_foreign_page(origin, host, site) is foreign


@given(st.text(max_size=30), st.text(max_size=30))
def test_odd_values_raise_nothing_and_are_foreign(origin: str, host: str) -> None:
    if origin != f"https://{host}":
        assert is_foreign_page(f"https://{origin}", host, "") in {True, False}
        assert is_foreign_page(origin, host, "")
