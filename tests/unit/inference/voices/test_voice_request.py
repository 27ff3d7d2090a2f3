from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from voxfleet_inference.errors import ApiError, InvalidFieldError
from voxfleet_inference.voices.voice_request import DesignedVoice, RecordedVoice, parse_voice_request, voice_request

JSON = Headers({"content-type": "application/json; charset=utf-8"})
FORM = Headers({"content-type": 'Multipart/Form-Data; boundary="b"'})
RECORDED = {"name": "Ada", "audio_sample": b"sound", "transcript": "What I said.", "consent": "in writing"}


def form(*parts: tuple[str, bytes]) -> bytes:
    parts_bytes = b"".join(
        b"--b\r\nContent-Disposition: form-data; name=" + name.encode() + b"\r\n\r\n" + value + b"\r\n"
        for name, value in parts
    )
    return parts_bytes + b"--b--\r\n"


def file_part(name: str, value: bytes) -> tuple[str, bytes]:
    return f'{name}; filename="../../a.wav"', value


async def test_field_names_of_other_servers_are_accepted() -> None:
    body = form(("name", b"Ada"), file_part("audio", b"sound"), ("text", b"What I said."), ("consent", b"in writing"))
    assert await parse_voice_request(FORM, body) == RecordedVoice("Ada", b"sound", "What I said.", "in writing")


async def test_a_voice_is_designed_by_json_or_a_form() -> None:
    expected = DesignedVoice("seven", 7, None)
    assert await parse_voice_request(JSON, b'{"name": " seven ", "seed": 7}') == expected
    assert await parse_voice_request(FORM, form(("name", b"seven"), ("seed", b"7"), ("type", b"seed"))) == expected


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "", "x", "\u0667", "9" * 5000, None, [1]])
def test_a_seed_out_of_bounds_is_rejected(seed: Any) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        voice_request({"name": "a", "seed": seed})
    assert caught.value.param == "seed"
    assert "from 0 to 9223372036854775807" in caught.value.message


@pytest.mark.parametrize("consent", ["no", "False", " 0 ", "", False, None])
def test_a_recording_without_consent_is_rejected(consent: Any) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        voice_request({**RECORDED, "consent": consent})
    assert caught.value.param == "consent"


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00b", "\ud800", "x" * 257, 5, b"bytes"])
def test_an_unprintable_or_long_name_is_rejected(name: Any) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        voice_request({**RECORDED, "name": name})
    assert caught.value.param == "name"


@given(
    st.dictionaries(
        st.sampled_from(["name", "type", "audio_sample", "transcript", "consent", "seed", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=10),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
            max_leaves=3,
        ),
    )
)
def test_any_fields_give_a_request_or_an_api_error(fields: dict[str, Any]) -> None:
    try:
        made = voice_request(fields)
    except ApiError as refused:
        json.dumps(refused.body)
    else:
        assert isinstance(made, RecordedVoice | DesignedVoice)


@given(
    st.binary(max_size=300),
    st.sampled_from([JSON, FORM, Headers({"content-type": "multipart/form-data"}), Headers({})]),
)
async def test_any_body_gives_an_api_error(body: bytes, headers: Headers) -> None:
    with pytest.raises(ApiError):
        await parse_voice_request(headers, body)


@given(st.binary(max_size=60), st.binary(max_size=200))
async def test_any_form_gives_an_api_error(name: bytes, value: bytes) -> None:
    body = b"--b\r\nContent-Disposition: form-data; name=" + name + b"\r\n\r\n" + value + b"\r\n--b--\r\n"
    with pytest.raises(ApiError):
        await parse_voice_request(FORM, body)
