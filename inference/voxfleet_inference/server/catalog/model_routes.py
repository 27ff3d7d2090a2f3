"""/v1/models and /v1/audio/models: the one model of a server, under each of its names.

Knows: FastAPI, and the forms in which OpenAI's clients, Open WebUI and Speaches' clients read models and their voices.
Does not know: how a model is loaded.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from voxfleet_inference.requests import check_model
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.voice_names import BUILT_IN_VOICES

_PUBLISHED_LANGUAGES: Final = ("en", "zh")  # of VoxCPM 1.5, whose published config.json names none


def add_models(app: FastAPI, service: SpeechService) -> None:
    """Add the operations."""
    settings = service.settings

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model of this server, and its aliases."""
        return {"object": "list", "data": [_model(service, name) for name in settings.model_names]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The one model of this server, by its name or an alias, with its voices."""
        check_model(name, settings.model_names)
        return {**_model(service, name), "voices": await _voices(service)}

    @app.get("/v1/audio/models")
    async def audio_models() -> dict[str, Any]:
        """The same names in the form that Open WebUI reads."""
        return {"models": [{"id": name} for name in settings.model_names]}


def _model(service: SpeechService, name: str) -> dict[str, Any]:
    """Return OpenAI's form, vLLM's `root` (the model of an alias), and the languages that a checkpoint names."""
    # A checkpoint has no time of creation.
    entry = {"id": name, "object": "model", "created": 0, "owned_by": "voxfleet", "root": service.settings.model_name}
    languages = _languages(service)
    return entry | ({"languages": [*languages]} if languages else {})


async def _voices(service: SpeechService) -> list[dict[str, Any]]:
    """Return the names that `voice` may have, each with a language: clients of Speaches show voices by language."""
    language = (_languages(service) or _PUBLISHED_LANGUAGES)[0]
    built_in = [(name, name) for name in BUILT_IN_VOICES]
    stored = [(each.id, each.name) for each in await service.voices.repository.all_metadata()]
    return [{"id": voice_id, "name": name, "language": language} for voice_id, name in (*built_in, *stored)]


def _languages(service: SpeechService) -> tuple[str, ...]:
    return service.supervisor.loaded.languages if service.supervisor.loaded else ()
