"""An upload is accepted or refused as by the inference server."""

import base64
from typing import Any

import pytest
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.voices import routes, upload
from voxfleet_gateway.server.voices.upload import checked_upload
from voxfleet_inference import voice_names
from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.voices import voice_request

VALID: dict[str, Any] = {"name": "Ada", "audio_sample": b"sound", "transcript": "What I said.", "consent": "in writing"}
CASES: list[dict[str, Any]] = [
    {},
    {"audio_sample": base64.b64encode(b"sound").decode()},
    {"audio_sample": "?"},
    {"audio_sample": 7},
    {"audio_sample": b""},
    {"audio_sample": None},
    {"audio_sample": b"x" * (10 * 2**20 + 1)},
    {"name": ""},
    {"name": "x" * 257},
    {"name": "a\nb"},
    {"name": 7},
    {"name": None},
    {"transcript": " "},
    {"transcript": "x" * 1001},
    {"transcript": "\0x"},
    {"transcript": "\ud800"},
    {"consent": "no"},
    {"consent": False},
    {"consent": True},
    {"consent": None},
    {"type": "audio_sample"},
    {"type": "prompt"},
    {"type": []},
    {"unknown": 1},
]


@pytest.mark.parametrize("change", CASES, ids=[str(case)[:40] for case in CASES])
def test_gateway_and_server_agree(change: dict[str, Any]) -> None:
    fields = VALID | change
    try:
        expected: Any = voice_request.voice_request(fields)
    except InvalidFieldError as error:
        with pytest.raises(RequestRefusedError) as refused:
            checked_upload(fields)
        body = error.body["error"]
        given = refused.value.refusal
        assert (given.status, given.param, given.code) == (400, body["param"], body["code"])
    else:
        got = checked_upload(fields)
        names = ("name", "recording", "transcript", "consent")
        assert [getattr(got, name) for name in names] == [getattr(expected, name) for name in names]


def test_a_designed_voice_is_refused_with_the_way_out() -> None:
    with pytest.raises(RequestRefusedError) as refused:
        checked_upload({"name": "seven", "seed": 7})
    assert (refused.value.refusal.status, refused.value.refusal.param) == (501, "seed")
    assert "random" in refused.value.refusal.message


def test_names_are_those_of_the_server() -> None:
    assert dict.fromkeys(routes.OPENAI_NAMES, "default") == voice_names.OPENAI_ALIASES
    assert routes.BUILT_IN == voice_names.BUILT_IN_VOICES
    assert voice_request._FIELD_ALIASES == upload.FIELD_ALIASES
