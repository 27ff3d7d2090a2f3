"""/v1/models: the one model of a server, under each of its names.

Knows: FastAPI, and OpenAI's form of a model.
Does not know: how a model is loaded.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from voxfleet_inference.requests import check_model
from voxfleet_inference.server.service import SpeechService


def add_models(app: FastAPI, service: SpeechService) -> None:
    """Add the operations."""
    settings = service.settings

    def model(name: str) -> dict[str, Any]:
        """Return OpenAI's form, vLLM's `root` (the model of an alias), and the languages that a checkpoint names."""
        # A checkpoint has no time of creation.
        entry = {"id": name, "object": "model", "created": 0, "owned_by": "voxfleet", "root": settings.model_name}
        languages = service.supervisor.loaded.languages if service.supervisor.loaded else ()
        return entry | ({"languages": [*languages]} if languages else {})

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model of this server, and its aliases."""
        return {"object": "list", "data": [model(name) for name in settings.model_names]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The one model of this server, by its name or an alias."""
        check_model(name, settings.model_names)
        return model(name)
