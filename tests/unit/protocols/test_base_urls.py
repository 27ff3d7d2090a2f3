"""Which path a request with a wrong base URL was meant for."""

import pytest
from voxfleet_protocols.base_urls import intended_path, way_out


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("/audio/speech", "/v1/audio/speech"),
        ("/v1/v1/audio/speech", "/v1/audio/speech"),
        ("/v1/audio/speech/audio/speech", "/v1/audio/speech"),
        ("/openai/v1/audio/speech/", "/v1/audio/speech"),
        ("/audio/speech/stream", "/v1/audio/speech/stream"),
        ("/v1/audio/speech/models", "/v1/models"),
        ("/audio/voices", "/v1/audio/voices"),
        ("/v1/tts/websocket", "/tts/websocket"),
        ("/v1/v1/speak", "/v1/speak"),
        ("/v1/chat/completions", None),
        ("/v1/audio/transcriptions", None),
        ("/", None),
        ("", None),
    ],
)
def test_the_path_that_was_meant(asked: str, meant: str | None) -> None:
    assert intended_path(asked) == meant
    assert (meant or "GET /v1/ ") in way_out(asked)


def test_a_path_of_the_api_is_never_said_to_be_meant_for_itself() -> None:
    assert intended_path("/v1/audio/speech") is None
