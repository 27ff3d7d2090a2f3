from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_voices import designed, voice
from voxfleet_inference.voices.file_format import (
    MAX_RECORDING_BYTES,
    StoredVoice,
    VoiceFileError,
    VoiceMetadata,
    parse_metadata,
    parse_voice,
    serialize_voice,
)


@given(st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable()), st.binary(max_size=200))
def test_serialize_and_parse_are_inverse(transcript: str, payload: bytes) -> None:
    kept = voice(transcript, payload)
    assert parse_voice(serialize_voice(kept), kept.metadata.id) == kept


def test_the_longest_metadata_fits_into_the_header() -> None:
    longest = VoiceMetadata(
        id="voice_" + "0" * 32,
        name="\U0001f600" * 256,
        created_at=10**12,
        type="audio_sample",
        transcript="\x01" * 1000,
        consent="\x02" * 1000,
        seed=2**63 - 1,
        patches=10**9,
        latents_shape=(10**6, 10**6, 10**6),
        payload_bytes=MAX_RECORDING_BYTES,
    )
    assert parse_metadata(serialize_voice(StoredVoice(longest, b""))) == longest


@given(st.binary(max_size=300))
def test_random_bytes_are_rejected(data: bytes) -> None:
    with pytest.raises(VoiceFileError):
        parse_voice(data, voice().metadata.id)
    with pytest.raises(VoiceFileError):
        parse_metadata(data)


@given(st.data())
def test_every_changed_or_truncated_file_is_rejected(data: st.DataObject) -> None:
    whole = serialize_voice(voice())
    at = data.draw(st.integers(min_value=whole.index(b"\n") + 1, max_value=len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(min_value=1, max_value=255))]) + whole[at + 1 :]
    with pytest.raises(VoiceFileError, match="hash"):
        parse_voice(changed, voice().metadata.id)
    with pytest.raises(VoiceFileError):
        parse_voice(whole[:at], voice().metadata.id)


def test_latents_of_another_shape_are_rejected() -> None:
    right = designed()
    for shape in ((3, 4, 65), (0, 4, 64), (-1, -4, 192), None):
        wrong = StoredVoice(right.metadata.model_copy(update={"latents_shape": shape}), right.payload)
        with pytest.raises(VoiceFileError):
            parse_voice(serialize_voice(wrong), right.metadata.id)
