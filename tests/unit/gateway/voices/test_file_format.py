"""The gateway's file of a voice is one that the inference server reads, under the same id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import VoiceFileError
from voxfleet_gateway.voices import file_format
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, parse, parse_header, serialize, voice_id
from voxfleet_inference.voices import file_format as pods


def stored(payload: bytes = b"sound", transcript: str = "What I said.", tenant: str = "t") -> StoredVoice:
    header = VoiceHeader(
        id=voice_id(payload, transcript), name="Ada", created_at=3, transcript=transcript, consent="yes",
        payload_bytes=len(payload), tenant=tenant, version=7,
    )  # fmt: skip
    return StoredVoice(header, payload)


@given(st.binary(min_size=1, max_size=50), st.text(st.characters(codec="utf-8"), min_size=1, max_size=50))
def test_the_inference_server_reads_it_under_the_same_id(payload: bytes, transcript: str) -> None:
    voice = stored(payload, transcript)
    assert voice.header.id == pods.voice_id("audio_sample", payload, transcript)
    read = pods.parse_voice(serialize(voice), voice.header.id)
    assert (read.payload, read.metadata.transcript, read.metadata.name) == (payload, transcript, "Ada")
    assert parse(serialize(voice), voice.header.key) == voice


def test_bounds_are_the_same() -> None:
    for name in ("NAME_CHARACTERS", "TRANSCRIPT_CHARACTERS", "CONSENT_CHARACTERS", "RECORDING_BYTES", "FILE_BYTES"):
        assert getattr(file_format, f"MAX_{name}") == getattr(pods, f"MAX_{name}")


@pytest.mark.parametrize("change", ["cut", "longer", "other bytes", "other tenant", "deleted", "no line", "no header"])
def test_anything_else_than_the_voice_is_an_error(change: str) -> None:
    voice = stored()
    data, key = serialize(voice), voice.header.key
    deleted = serialize(StoredVoice(voice.header.model_copy(update={"is_deleted": True}), b"sound"))
    given_data = {
        "cut": data[:-1], "longer": data + b"x", "other bytes": data[:-1] + b"X", "other tenant": data,
        "deleted": deleted, "no line": b"{}", "no header": b"{}\n",
    }[change]  # fmt: skip
    with pytest.raises(VoiceFileError):
        parse(given_data, ("other", key[1]) if change == "other tenant" else key)


def test_the_longest_fields_fit_into_a_header() -> None:
    header = VoiceHeader(
        id=voice_id(b"", ""), name="\0" * 256, transcript="\0" * 1000, consent="\0" * 1000, tenant="\0" * 128
    )
    assert parse_header(serialize(StoredVoice(header, b""))) == header
