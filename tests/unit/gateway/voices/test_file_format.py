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


@given(st.integers(1, 3), st.integers(1, 3), st.binary(max_size=4))
def test_a_designed_voice_is_read_by_both_or_by_neither(patches: int, patch_size: int, more: bytes) -> None:
    payload = bytes(4 * patches * patch_size * 2) + more
    header = VoiceHeader(
        id=voice_id(payload, "I am seven.", "seed"), name="7", type="seed", transcript="I am seven.", seed=7,
        latents_shape=(patches, patch_size, 2), patches=patches, payload_bytes=len(payload), tenant="t", model="d/n",
    )  # fmt: skip
    assert header.id == pods.voice_id("seed", payload, "I am seven.")
    data = serialize(StoredVoice(header, payload))
    if more:
        for read in (lambda: parse(data, header.key), lambda: pods.parse_voice(data, header.id)):
            with pytest.raises((VoiceFileError, pods.VoiceFileError)):
                read()
        return
    voice = pods.parse_voice(data, header.id)
    assert voice.latents.shape == header.latents_shape
    assert (voice.metadata.seed, voice.metadata.type) == (7, "seed")
    # And the server's own file, without what a gateway adds, is one of the gateway's.
    assert parse(pods.serialize_voice(voice), ("", header.id)).payload == payload


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
        id=voice_id(b"", ""), name="\0" * 256, transcript="\0" * 1000, consent="\0" * 1000, tenant="\0" * 128,
        reason="\U0001f600" * 160, model="m" * 128, seed=2**63 - 1, latents_shape=(9999, 999, 999), patches=9999,
        created_at=2**40, version=2**60, payload_bytes=10 * 2**20, model_generation=2**40,
    )  # fmt: skip
    assert parse_header(serialize(StoredVoice(header, b""))) == header
