from __future__ import annotations

import pytest
from pydantic import ValidationError
from voxfleet_inference.model_names import parse_model_aliases
from voxfleet_inference.settings import ServeSettings


@pytest.mark.parametrize(
    ("written", "aliases"),
    [
        ("", ()),
        ("tts-1", ("tts-1",)),
        (" tts-1, tts-1-hd ,gpt-4o-mini-tts,", ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")),
        ("a,b,a", ("a", "b")),
        ("openbmb/VoxCPM1.5", ("openbmb/VoxCPM1.5",)),
    ],
)
def test_aliases_are_parsed(written: str, aliases: tuple[str, ...]) -> None:
    assert parse_model_aliases(written) == aliases


@pytest.mark.parametrize("written", ["tts 1", "-a", "a;b", "x" * 129, "a,\u00e9"])
def test_invalid_aliases_are_rejected(written: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a model"):
        ServeSettings.model_validate({"model_path": "/nowhere", "model_aliases": written})


def test_the_names_of_a_model_begin_with_its_own() -> None:
    settings = ServeSettings.model_validate({"model_path": "/nowhere", "model_name": "mine", "model_aliases": "a,mine"})
    assert settings.model_names == ("mine", "a")
