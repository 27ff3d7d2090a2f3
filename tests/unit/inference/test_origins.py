"""The server's own pages, allowed origins, and rejected ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.origins import Visit, checked_origins, may_use, parse_origins, rejection_message

NOBODY: frozenset[str] = frozenset()
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,6}){0,2}", fullmatch=True)
PORTS = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:6006", "localhost:6006"),
        ("http://127.0.0.1:6006", "127.0.0.1:6006"),
        ("http://192.168.1.7", "192.168.1.7"),
        ("http://[::1]:6006", "[::1]:6006"),
        ("http://gpu-box:6006", "gpu-box:6006"),
        ("http://gpu-box.local:6006", "GPU-Box.local:6006"),
        ("http://tts.svc.cluster.local", "tts.svc.cluster.local:80"),
        ("https://tts.example.com", "tts.example.com"),  # TLS ends at a proxy, which keeps Host
        ("https://tts.example.com", "tts.example.com:443"),
        ("https://tts.example.com:8443", "tts.example.com:8443"),
    ],
)
def test_the_own_page_is_allowed(origin: str, host: str) -> None:
    assert may_use(Visit(origin, host), NOBODY)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "localhost:6006"),
        ("http://localhost:3000", "localhost:6006"),  # another server on the same machine
        ("http://localhost", "localhost:6006"),
        ("http://127.0.0.1:6006", "localhost:6006"),
        ("http://rebound.evil.example:6006", "rebound.evil.example:6006"),  # DNS rebinding to this machine
        ("http://tts.example.com", "tts.example.com"),  # looks the same as rebinding, so it must be allowed by name
        ("https://tts.example.com", "127.0.0.1:6006"),  # a proxy that does not keep Host
        ("null", "localhost:6006"),  # a file, or a page in a sandbox
        ("null", "null"),
        ("file://", "localhost:6006"),
        ("chrome-extension://abcdef", "abcdef"),
        ("http://localhost:port", "localhost:port"),
        ("http://[", "["),
        ("", ""),
        ("http://localhost", ""),
    ],
)
def test_other_pages_are_not_allowed(origin: str, host: str) -> None:
    assert not may_use(Visit(origin, host), NOBODY)
    assert may_use(Visit(origin, host), frozenset({"*"}))


def test_sec_fetch_site_same_origin_is_the_own_page() -> None:
    """Behind a proxy that rewrites Host. No script can set this header; browsers omit it over plain HTTP."""
    assert may_use(Visit("https://tts.example.com", "127.0.0.1:6006", "same-origin"), NOBODY)
    for site in ("same-site", "cross-site", "none"):
        assert not may_use(Visit("https://tts.example.com", "127.0.0.1:6006", site), NOBODY)


@pytest.mark.parametrize(
    ("written", "origins"),
    [
        ("", set()),
        (" https://App.example.com , http://localhost:3000,", {"https://app.example.com", "http://localhost:3000"}),
        ("https://a.example:443,http://b.example:80", {"https://a.example", "http://b.example"}),
        ("http://a.example:8080,http://[::1]:3000", {"http://a.example:8080", "http://[::1]:3000"}),
        ("chrome-extension://abcdef,tauri://localhost", {"chrome-extension://abcdef", "tauri://localhost"}),
        ("*", {"*"}),
    ],
)
def test_origins_are_parsed_in_the_form_of_browsers(written: str, origins: set[str]) -> None:
    assert parse_origins(written) == origins
    assert checked_origins(written) == written


@pytest.mark.parametrize(
    "written",
    [
        "example.com",
        "https://a.example/",
        "https://a.example/app",
        "https://*.example.com",
        "null",
        "https://",
        "https://a:b",
    ],
)
def test_an_invalid_origin_is_an_error_at_the_start(written: str) -> None:
    with pytest.raises(ValueError, match="is no origin; write scheme://host"):
        checked_origins(written)


@given(NAMES, PORTS, st.sampled_from(["http", "https"]), NAMES, PORTS)
def test_no_other_address_is_the_own_page(name: str, port: str, scheme: str, host: str, host_port: str) -> None:
    default = {"http": ":80", "https": ":443"}[scheme]
    is_same = (name, port or default) == (host, host_port or default)
    allowed = may_use(Visit(f"{scheme}://{name}{port}", f"{host}{host_port}"), NOBODY)
    assert not allowed or is_same
    if scheme == "https":
        assert allowed == is_same


@given(NAMES, PORTS, st.sampled_from(["http", "https", "tauri"]))
def test_an_allowed_origin_is_allowed_for_every_host(name: str, port: str, scheme: str) -> None:
    default = {"http": ":80", "https": ":443"}.get(scheme)
    origin = f"{scheme}://{name}" if port == default else f"{scheme}://{name}{port}"  # a browser leaves it out
    assert may_use(Visit(origin, "localhost:6006"), parse_origins(f"https://a.example,{scheme}://{name}{port}"))


def test_a_rejection_names_the_origin_and_the_flag_and_is_short() -> None:
    message = rejection_message("https://evil.example" + "x" * 5000)
    assert message.startswith("the page's origin, 'https://evil.example")
    assert "--allowed-origins" in message
    assert len(message) < 400
