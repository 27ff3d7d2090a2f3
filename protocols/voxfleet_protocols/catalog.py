"""Lists of models and voices in the forms that clients read: OpenAI's, Open WebUI's, and those of Speaches' clients.

Knows: the forms, and which languages a checkpoint speaks that names none.
Does not know: which models and voices there are; HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

Row = dict[str, Any]

PUBLISHED_LANGUAGES: Final = ("en", "zh")  # of VoxCPM 1.5, whose published config.json names none


def api_root() -> Row:
    """Return the response of /v1, with which clients open their connection before the first request."""
    return {"object": "api", "models": "/v1/models", "voices": "/v1/audio/voices", "speech": "/v1/audio/speech"}


def model_row(name: str, root: str, created: int, languages: Sequence[str]) -> Row:
    """Return OpenAI's form, vLLM's `root` (the model that an alias means), and the languages that are known."""
    row = {"id": name, "object": "model", "created": created, "owned_by": "voxfleet", "root": root}
    return row | ({"languages": [*languages]} if languages else {})


def model_list(rows: Iterable[Row]) -> Row:
    """Return the response of /v1/models."""
    return {"object": "list", "data": [*rows]}


def audio_models(names: Iterable[str]) -> Row:
    """Return the response of /v1/audio/models, which Open WebUI reads."""
    return {"models": [{"id": name} for name in names]}


def voice_rows(voices: Iterable[tuple[str, str]], languages: Sequence[str]) -> list[Row]:
    """Return the voices of a model by id and name, each with a language: clients of Speaches show voices by language.

    Every voice speaks all languages of its model, and the form has one: the first.
    """
    language = (languages or PUBLISHED_LANGUAGES)[0]
    return [{"id": voice_id, "name": name, "language": language} for voice_id, name in voices]
