"""/v1/models: the one model of a server.

Knows: FastAPI, and OpenAI's form of a model.
Does not know: how a model is loaded.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from voxfleet_inference.requests import check_model
from voxfleet_inference.server.engine_supervisor import EngineSupervisor


def add_models(app: FastAPI, model_name: str, supervisor: EngineSupervisor) -> None:
    """Add the operations."""

    def model() -> dict[str, Any]:
        """Return OpenAI's form, and the languages where the checkpoint names them."""
        # A checkpoint has no time of creation.
        entry = {"id": model_name, "object": "model", "created": 0, "owned_by": "voxfleet"}
        languages = supervisor.loaded.languages if supervisor.loaded else ()
        return entry | ({"languages": [*languages]} if languages else {})

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model of this server."""
        return {"object": "list", "data": [model()]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        """The one model of this server, by its name."""
        check_model(name, model_name)
        return model()
