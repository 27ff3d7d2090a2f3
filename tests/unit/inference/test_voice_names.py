from __future__ import annotations

import pytest
from voxfleet_inference.voice_names import OPENAI_ALIASES, parse_aliases


def test_aliases_are_parsed() -> None:
    name = "voice_" + "0" * 32
    assert parse_aliases("") == {}
    assert parse_aliases(f" nova={name}, narrator = random ,") == {"nova": name, "narrator": "random"}


def test_every_voice_of_openai_has_a_name_here() -> None:
    names = "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse"
    assert " ".join(OPENAI_ALIASES) == names
    assert set(OPENAI_ALIASES.values()) == {"default"}


@pytest.mark.parametrize(
    ("aliases", "words"),
    [
        ("nova", "is no alias"),
        ("nova=", "is no alias"),
        ("nova=alloy", "is no alias"),
        ("../x=default", "is no alias"),
        ("default=random", "has a meaning already"),
        ("a=default,a=random", "has a meaning already"),
        ("voice_" + "0" * 32 + "=default", "has a meaning already"),
    ],
)
def test_invalid_aliases_are_rejected(aliases: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_aliases(aliases)
