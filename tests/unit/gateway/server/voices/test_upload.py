"""An upload is accepted or refused as by the inference server."""

import base64
from typing import Any

import pytest
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.voices import designer, routes, upload
from voxfleet_gateway.server.voices.upload import DesignedUpload, checked_upload
from voxfleet_inference import voice_names
from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.voices import prompt_builders, voice_request

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
    {"seed": 7},
    {"type": "audio_sample", "seed": 7},
    {"type": []},
    {"unknown": 1},
]
DESIGNS: list[dict[str, Any]] = [
    {},
    {"type": "seed"},
    {"seed": "12"},
    {"seed": 2**63 - 1},
    {"seed": 2**63},
    {"seed": -1},
    {"seed": 1.5},
    {"seed": True},
    {"seed": "\u0661"},
    {"seed": "9" * 5000},
    {"transcript": "I am seven."},
    {"transcript": " "},
    {"transcript": "x" * 1001},
    {"name": ""},
    {"seed": None, "type": "seed"},
]


def _agree(fields: dict[str, Any], names: dict[str, str]) -> None:
    fields = {name: value for name, value in fields.items() if value is not None}  # as both do with JSON's null
    try:
        expected: Any = voice_request.voice_request(fields)
    except InvalidFieldError as error:
        with pytest.raises(RequestRefusedError) as refused:
            checked_upload(fields)
        body, given = error.body["error"], refused.value.refusal
        assert (given.status, given.param, given.code) == (400, body["param"], body["code"])
        assert given.message == body["message"] + "."
    else:
        got = checked_upload(fields)
        assert {ours: getattr(got, ours) for ours in names} == {o: getattr(expected, t) for o, t in names.items()}


@pytest.mark.parametrize("change", CASES, ids=[str(case)[:40] for case in CASES])
def test_gateway_and_server_agree(change: dict[str, Any]) -> None:
    _agree(VALID | change, {name: name for name in ("name", "recording", "transcript", "consent")})


@pytest.mark.parametrize("change", DESIGNS, ids=[str(case)[:40] for case in DESIGNS])
def test_gateway_and_server_agree_about_designed_voices(change: dict[str, Any]) -> None:
    _agree({"name": "seven", "seed": 7} | change, {"name": "name", "seed": "seed", "transcript": "text"})


@pytest.mark.parametrize("model", ["", 7, "x" * 257])
def test_a_model_is_a_name(model: Any) -> None:
    assert checked_upload({"name": "n", "seed": 7, "model": "d/n"}) == DesignedUpload("n", 7, None, "d/n")
    with pytest.raises(RequestRefusedError) as refused:
        checked_upload({"name": "n", "seed": 7, "model": model})
    assert refused.value.refusal.param == "model"


def test_names_are_those_of_the_server() -> None:
    assert dict.fromkeys(routes.OPENAI_NAMES, "default") == voice_names.OPENAI_ALIASES
    assert routes.BUILT_IN == voice_names.BUILT_IN_VOICES
    assert voice_request._FIELD_ALIASES == upload.FIELD_ALIASES
    assert voice_request.FIELDS.items() <= upload.FIELDS.items()
    assert prompt_builders.BUILT_IN_VOICE_TEXT == designer.SAMPLE_TEXT
