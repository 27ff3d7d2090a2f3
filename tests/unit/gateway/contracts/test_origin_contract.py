"""Gateway and inference server decide alike about browsers' pages; they never import one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.server.requests import origins as gateway
from voxfleet_inference import origins as server

APP = "https://app.example.com"
CASES = [  # origin, host, sec-fetch-site, allowed origins, may use
    (None, "tts.example.com", "", "", True),  # a program
    (None, "tts.example.com", "none", "", True),  # typed into the address bar
    (None, "tts.example.com", "same-origin", "", True),
    (None, "tts.example.com", "same-site", "", False),
    (None, "tts.example.com", "cross-site", "", False),
    (None, "tts.example.com", "cross-site", "*", True),
    (None, "tts.example.com", "cross-site", APP, False),
    ("https://tts.example.com", "tts.example.com", "", "", True),
    ("https://tts.example.com", "tts.example.com:443", "", "", True),
    ("https://tts.example.com:8443", "tts.example.com", "", "", False),
    ("http://tts.example.com", "tts.example.com", "", "", False),  # DNS rebinding
    ("http://tts.example.com", "tts.example.com", "same-origin", "", True),
    ("http://localhost:6006", "localhost:6006", "", "", True),
    ("http://localhost:3000", "localhost:6006", "same-site", "", False),
    ("http://localhost:3000", "localhost:6006", "same-site", "http://localhost:3000", True),
    ("http://127.0.0.1:6006", "127.0.0.1:6006", "", "", True),
    ("http://[::1]:6006", "[::1]:6006", "", "", True),
    ("http://gpu-box", "gpu-box", "", "", True),
    ("http://tts.svc.cluster.local", "tts.svc.cluster.local:80", "", "", True),
    ("http://gateway.system.svc:6006", "gateway.system.svc:6006", "", "", True),
    (APP, "tts.example.com", "cross-site", "", False),
    (APP, "tts.example.com", "cross-site", f"http://localhost:3000, {APP}:443", True),
    (APP, "tts.example.com", "cross-site", "*", True),
    (f"{APP}:8443", "tts.example.com", "cross-site", APP, False),
    ("null", "tts.example.com", "", "", False),
    ("null", "null", "", "*", True),
    ("file://", "localhost", "", "", False),
    ("chrome-extension://abcdef", "abcdef", "", "", False),
    ("chrome-extension://abcdef", "tts.example.com", "", "chrome-extension://abcdef", True),
    ("https://tts.example.com@evil.example", "tts.example.com", "", "", False),
    ("https://x:99999", "x", "", "", False),
    ("", "", "", "", False),
]
WRITTEN = [
    "",
    "*",
    APP,
    f" {APP.upper()}:443 ,http://b:80,",
    "example.com",
    "https://a/",
    "https://*.a",
    "null",
    "https://",
]
TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from([case[0] or "" for case in CASES] + [case[1] for case in CASES])
)


@pytest.mark.parametrize(("origin", "host", "site", "allowed", "may"), CASES)
def test_both_decide_as_the_table(origin: str | None, host: str, site: str, allowed: str, *, may: bool) -> None:
    assert gateway.is_foreign_page(origin, host, site, gateway.parse_origins(allowed)) is not may
    assert server.may_use(server.Visit(origin, host, site), server.parse_origins(allowed)) is may


@given(st.one_of(st.none(), TEXTS), TEXTS, st.sampled_from(["", "none", "same-origin", "same-site", "cross-site", "x"]))
def test_both_decide_alike_about_anything(origin: str | None, host: str, site: str) -> None:
    for allowed in (frozenset[str](), frozenset({APP})):
        visit = server.Visit(origin, host, site)
        assert gateway.is_foreign_page(origin, host, site, allowed) is not server.may_use(visit, allowed)


@pytest.mark.parametrize("written", WRITTEN)
def test_both_read_the_setting_alike(written: str) -> None:
    try:
        expected = server.parse_origins(written)
    except ValueError:
        with pytest.raises(ValueError, match="is no origin; write scheme://host"):
            gateway.parse_origins(written)
    else:
        assert gateway.parse_origins(written) == expected
