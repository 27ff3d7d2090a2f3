from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from voxfleet_inference.errors import ApiError
from voxfleet_inference.field_errors import as_field_error
from voxfleet_inference.voices.body_fields import read_fields
from voxfleet_protocols.voice_upload import DesignedVoice, RecordedVoice, VoiceRequest, voice_request, with_own_names

JSON = Headers({"content-type": "application/json; charset=utf-8"})
FORM = Headers({"content-type": 'Multipart/Form-Data; boundary="b"'})


def form(*parts: tuple[str, bytes]) -> bytes:
    parts_bytes = b"".join(
        b"--b\r\nContent-Disposition: form-data; name=" + name.encode() + b"\r\n\r\n" + value + b"\r\n"
        for name, value in parts
    )
    return parts_bytes + b"--b--\r\n"


def file_part(name: str, value: bytes) -> tuple[str, bytes]:
    return f'{name}; filename="../../a.wav"', value


async def voice_of(headers: Headers, body: bytes) -> VoiceRequest:
    fields = with_own_names(await read_fields(headers, body))
    with as_field_error():
        return voice_request(fields)


async def test_field_names_of_other_servers_are_accepted() -> None:
    body = form(("name", b"Ada"), file_part("audio", b"sound"), ("text", b"What I said."), ("consent", b"in writing"))
    assert await voice_of(FORM, body) == RecordedVoice("Ada", b"sound", "What I said.", "in writing")


async def test_a_voice_is_designed_by_json_or_a_form() -> None:
    expected = DesignedVoice("seven", 7, None)
    assert await voice_of(JSON, b'{"name": " seven ", "seed": 7}') == expected
    assert await voice_of(FORM, form(("name", b"seven"), ("seed", b"7"), ("type", b"seed"))) == expected


async def test_the_error_names_the_field() -> None:
    with pytest.raises(ApiError) as caught:
        await voice_of(JSON, b'{"name": "a", "seed": -1}')
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, "seed", "invalid")


@given(
    st.binary(max_size=300),
    st.sampled_from([JSON, FORM, Headers({"content-type": "multipart/form-data"}), Headers({})]),
)
async def test_any_body_gives_an_api_error(body: bytes, headers: Headers) -> None:
    with pytest.raises(ApiError):
        await voice_of(headers, body)


@given(st.binary(max_size=60), st.binary(max_size=200))
async def test_any_form_gives_an_api_error(name: bytes, value: bytes) -> None:
    body = b"--b\r\nContent-Disposition: form-data; name=" + name + b"\r\n\r\n" + value + b"\r\n--b--\r\n"
    with pytest.raises(ApiError):
        await voice_of(FORM, body)
