"""/v1/models and /v1/audio/models: the one model of a server, under each of its names.

Knows: FastAPI, and that a checkpoint's languages are known once it is loaded.
Does not know: the forms of the lists (voxfleet_protocols.catalog); how a model is loaded.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from voxfleet_protocols import catalog

from voxfleet_inference.requests import check_model
from voxfleet_inference.server.service import SpeechService


def add_models(app: FastAPI, service: SpeechService) -> None:
    """Add the operations."""
    settings = service.settings

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model of this server, and its aliases."""
        return catalog.model_list(_model(service, name) for name in settings.model_names)

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The one model of this server, by its name or an alias, with its voices."""
        check_model(name, settings.model_names)
        return {**_model(service, name), "voices": await _voices(service)}

    @app.get("/v1/audio/models")
    async def audio_models() -> dict[str, Any]:
        """The same names in the form that Open WebUI reads."""
        return catalog.audio_models(settings.model_names)


def _model(service: SpeechService, name: str) -> dict[str, Any]:
    # A checkpoint has no time of creation.
    return catalog.model_row(name, service.settings.model_name, 0, service.supervisor.languages)


async def _voices(service: SpeechService) -> list[dict[str, Any]]:
    """Return the names that `voice` may have."""
    listed = service.voices.listed(await service.voices.repository.all_metadata())
    return catalog.voice_rows(listed, service.supervisor.languages)
