from __future__ import annotations

import pytest
from voxfleet_inference.bench.http_client import Target


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://a:6006", "a", 6006, "/v1/audio/speech"),
        ("http://a/v1/", "a", 80, "/v1/audio/speech"),
        ("http://[::1]:7/tts", "::1", 7, "/tts/v1/audio/speech"),
    ],
)
def test_a_base_url_may_end_with_v1(url: str, host: str, port: int, path: str) -> None:
    target = Target.of(url, "/v1/audio/speech", None)
    assert (target.host, target.port, target.path, target.tls) == (host, port, path, None)


@pytest.mark.parametrize("url", ["a:6006", "ftp://a", "http://", "6006"])
def test_an_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of the form"):
        Target.of(url, "/v1/audio/speech", None)
