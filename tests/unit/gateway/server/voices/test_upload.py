"""An upload is stored as by the inference server; its fields are checked by the same code (voxfleet_protocols)."""

from typing import Any

import pytest
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.voices import consents, designer
from voxfleet_gateway.voices.file_format import parse, serialize
from voxfleet_inference.errors import InvalidFieldError
from voxfleet_inference.voices import consents as server_consents
from voxfleet_inference.voices import prompt_builders
from voxfleet_inference.voices.file_format import parse_voice

CONSENT: dict[str, Any] = {"name": "Ada", "recording": b"RIFF\n\0\0\0WAVE", "language": "en-US"}


@pytest.mark.parametrize("change", [{}, {"recording": b"ID3 and more"}, {"language": "zh-Hans-CN"}])
def test_gateway_and_server_make_the_same_consent(change: dict[str, Any]) -> None:
    made, expected = consents.consent_of(CONSENT | change, "t"), server_consents.consent_of(CONSENT | change)
    assert made.header.id == expected.metadata.id
    data = serialize(made)
    assert parse(data, made.header.key) == made
    assert parse_voice(data, made.header.id).payload == expected.payload


@pytest.mark.parametrize("change", [{"name": ""}, {"recording": b"no sound"}, {"language": "English!"}])
def test_gateway_and_server_refuse_a_consent_in_the_same_words(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidFieldError) as expected:
        server_consents.consent_of(CONSENT | change)
    with pytest.raises(RequestRefusedError) as refused:
        consents.consent_of(CONSENT | change, "t")
    body, given = expected.value.body["error"], refused.value.refusal
    assert (given.status, given.param, given.code, given.message) == (400, body["param"], body["code"], body["message"])


def test_a_sample_says_what_the_server_s_own_does() -> None:
    assert prompt_builders.BUILT_IN_VOICE_TEXT == designer.SAMPLE_TEXT
