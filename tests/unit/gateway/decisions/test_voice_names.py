"""A voice's name means the same at the gateway as at the inference server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.voice_names import (
    BUILT_IN,
    OPENAI_NAMES,
    AmbiguousVoice,
    UnknownVoice,
    other_names,
    resolve_voice,
)
from voxfleet_inference.voice_names import BUILT_IN_VOICES, OPENAI_ALIASES

ONE, TWO = (f"voice_{digit * 32}" for digit in "12")
TABLE = {"alloy": ONE, "narrator": "random"}
STORED = {"Ada": {ONE}, "Eve": {ONE, TWO}, "nova": {TWO}}


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        ("", ""),
        ("default", "default"),
        ("random", "random"),
        (TWO, TWO),
        ("alloy", ONE),  # the resource's table comes before OpenAI's names
        ("narrator", "random"),
        ("Ada", ONE),
        ("nova", TWO),  # a stored voice too
        ("shimmer", "default"),
        ("Eve", AmbiguousVoice("Eve", (ONE, TWO))),
        ("ada", UnknownVoice("ada")),
    ],
)
def test_a_name_means_one_voice(name: str, voice: object) -> None:
    assert resolve_voice(name, TABLE, lambda each: STORED.get(each, set())) == voice


@given(st.sampled_from([*BUILT_IN, *OPENAI_NAMES, *TABLE, *STORED, ONE, "x"]))
def test_what_is_listed_is_what_a_request_may_use(name: str) -> None:
    listed = {**other_names(TABLE, STORED), **dict.fromkeys(BUILT_IN, "")}
    voice = resolve_voice(name, TABLE, lambda each: STORED.get(each, set()))
    assert isinstance(voice, UnknownVoice) == (name not in listed and name not in STORED and name != ONE)
    if name in TABLE:
        assert listed[name] == voice


def test_built_in_and_openai_names_are_the_servers() -> None:
    assert BUILT_IN == BUILT_IN_VOICES
    assert dict.fromkeys(OPENAI_NAMES, "default") == OPENAI_ALIASES
