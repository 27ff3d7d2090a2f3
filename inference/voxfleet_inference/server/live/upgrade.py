"""The error of a request without an upgrade on a path that speaks WebSocket.

Does not know: protocols, sessions.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException


def add_upgrade_required(app: FastAPI, path: str) -> None:
    """Add GET on this path."""
    app.add_api_route(path, _no_upgrade, methods=["GET"], include_in_schema=False)


async def _no_upgrade() -> None:
    """426 Upgrade Required (RFC 9110, 15.5.22), as browsers and curl get it."""
    message = "this path speaks WebSocket; see docs/speech-api.md, or POST /v1/audio/speech"
    raise HTTPException(426, message, {"Upgrade": "websocket", "Connection": "Upgrade"})
