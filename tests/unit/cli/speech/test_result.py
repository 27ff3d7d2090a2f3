"""What is read of a response's first bytes: the samples of a whole header, and nothing of any other bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_cli.speech.audio_file import HEADER_BYTES
from voxfleet_cli.speech.result import SpeechResult
from voxfleet_inference.audio.encoding import wav_header
from voxfleet_inference.audio.formats import FORMATS

HEADER = wav_header(8000, None)


def result(response_format: str, head: bytes = b"", length: int = 1000) -> SpeechResult:
    return SpeechResult("f", response_format, length, head, 0.1, 0.2, {"Voxfleet-Sample-Rate": "8000"})


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_the_samples_of_formats_without_headers_are_their_bytes(name: str) -> None:
    each = FORMATS[name]
    assert result(name).samples() == (1000 // each.sample_bytes if each.sample_bytes else None)


def test_the_samples_of_a_wav_are_behind_its_header() -> None:
    assert result("wav", HEADER + b"\0" * 100, len(HEADER) + 320).samples() == 160
    assert result("wav", HEADER, len(HEADER) + 320).as_json()["seconds"] == pytest.approx(0.02)


@given(
    st.lists(st.sampled_from([b"RIFF", b"WAVE", b"fmt ", b"data", b"\0" * 4, HEADER]), max_size=8).map(b"".join)
    | st.integers(0, len(HEADER)).map(lambda length: HEADER[:length])
    | st.binary(max_size=HEADER_BYTES)
)
def test_of_any_other_bytes_nothing_is_read(head: bytes) -> None:
    found = result("wav", head[:HEADER_BYTES]).samples()
    assert found is None or found >= 0
