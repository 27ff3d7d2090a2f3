"""The fields of voices and consents, for the gateway and the server alike."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_protocols.translation import UnusableMessageError
from voxfleet_protocols.voice_upload import (
    ConsentRequest,
    DesignedVoice,
    RecordedVoice,
    consent_request,
    seed_of,
    voice_request,
    with_own_names,
)

RECORDED = {"name": "Ada", "audio_sample": b"sound", "transcript": "What I said.", "consent": "in writing"}
CONSENT = {"name": "Ada", "recording": b"RIFF\n\0\0\0WAVE", "language": "en-US"}


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ({}, {}),
        ({"audio_sample": base64.b64encode(b"sound").decode()}, {}),
        ({"type": "audio_sample", "unknown": 1}, {}),
        ({"name": " Ada "}, {}),
        ({"consent": True}, {"consent": "true"}),
    ],
)
def test_a_recording_is_a_voice(change: dict[str, Any], made: dict[str, Any]) -> None:
    expected = {"name": "Ada", "recording": b"sound", "transcript": "What I said.", "consent": "in writing"} | made
    assert voice_request(RECORDED | change) == RecordedVoice(**expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("audio_sample", value) for value in ("?", 7, b"", b"x" * (10 * 2**20 + 1))),
        *(("name", value) for value in ("", "  ", "a\nb", "a\x00b", "\ud800", "x" * 257, 5, b"bytes", None)),
        *(("transcript", value) for value in (" ", "x" * 1001, "\0x", "\ud800", None)),
        *(("consent", value) for value in ("no", "False", " 0 ", "", False, None)),
        *(("type", value) for value in ("design", [], "seed", "prompt")),
        ("seed", 7),  # together with a recording
        ("prompt", "A calm voice"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_with_a_recording_is_named(field: str, value: Any) -> None:
    with pytest.raises(UnusableMessageError, match=f"'{field}'") as refused:
        voice_request(RECORDED | {field: value})
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"seed": 7}, (7, None, "", "")),
        ({"seed": "12", "type": "seed"}, (12, None, "", "")),
        ({"seed": 2**63 - 1, "transcript": "I am seven."}, (2**63 - 1, "I am seven.", "", "")),
        ({"seed": 7, "model": "d/n"}, (7, None, "d/n", "")),
        ({"seed": 7, "model": "auto"}, (7, None, "", "")),
        ({"prompt": " A calm voice "}, (seed_of("A calm voice"), None, "", "A calm voice")),
        ({"prompt": "A calm voice", "type": "prompt", "seed": 3}, (3, None, "", "A calm voice")),
    ],
)
def test_a_seed_or_a_prompt_designs_a_voice(fields: dict[str, Any], made: tuple[Any, ...]) -> None:
    assert voice_request({"name": "n", **fields}) == DesignedVoice("n", *made)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        *(("seed", {"seed": seed}) for seed in (-1, 2**63, 1.5, True, "", "x", "\u0667", "9" * 5000, [1])),
        *(("seed", {"seed": "0" * 20 + digits}) for digits in ("9" * 20, "9" * 5000, "7")),
        ("seed", {"type": "seed"}),
        ("prompt", {"type": "prompt"}),
        *(("prompt", {"prompt": prompt}) for prompt in (" ", "x" * 1001, 7)),
        *(("model", {"seed": 7, "model": model}) for model in ("", 7, "x" * 257)),
        ("transcript", {"seed": 7, "transcript": "x" * 1001}),
        ("audio_sample", {"type": "audio_sample", "seed": 7}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_with_a_design_is_named(field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(UnusableMessageError, match=f"'{field}'") as refused:
        voice_request({"name": "n", **fields})
    assert refused.value.param == field


@pytest.mark.parametrize("change", [{}, {"recording": b"ID3 and more"}, {"language": "zh-Hans-CN"}])
def test_a_consent_has_a_recording_and_its_language(change: dict[str, Any]) -> None:
    given = CONSENT | change
    made = ConsentRequest(str(given["name"]), str(given["language"]), bytes(given["recording"]))
    assert consent_request(given) == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("recording", value) for value in (b"no sound", b"", None, "?")),
        *(("language", value) for value in ("English!", "x" * 36, None)),
        *(("name", value) for value in ("a\nb", None)),
    ],
)
def test_what_is_wrong_with_a_consent_is_named(field: str, value: Any) -> None:
    with pytest.raises(UnusableMessageError, match=f"'{field}'"):
        consent_request(CONSENT | {field: value})


def test_names_of_other_servers_are_taken() -> None:
    given = {"name": "Ada", "file": b"sound", "ref_text": "What I said.", "consent": "in writing"}
    assert with_own_names(given) == RECORDED


@given(
    st.dictionaries(
        st.sampled_from(["name", "type", "audio_sample", "transcript", "consent", "seed", "prompt", "model", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=10),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
            max_leaves=3,
        ),
    )
)
def test_any_fields_give_a_request_or_a_named_error(fields: dict[str, Any]) -> None:
    try:
        made = voice_request(fields)
    except UnusableMessageError as refused:
        made, named = None, refused.param
        str(refused).encode()
    assert isinstance(made, RecordedVoice | DesignedVoice) or named
