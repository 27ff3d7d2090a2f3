"""Errors as responses, in OpenAI's form.

Knows: FastAPI's response. Does not know: which errors there are, or the forms of other protocols (protocols/).
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from voxfleet_protocols.base_urls import way_out

from voxfleet_inference.errors import ApiError


def error_response(error: ApiError) -> JSONResponse:
    """Return an error as the response to its request, or to a WebSocket's handshake."""
    return JSONResponse(error.body, error.status, error.headers)


def http_error_response(error: HTTPException, method: str, path: str, methods: Collection[str]) -> JSONResponse:
    """Return an error of the router: an unknown path, or a method that is none of the path's `methods`."""
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    headers = dict(error.headers or {})
    message = f"{method} {path:.200}: {error.detail}"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(methods))  # the router's own has those of one of the path's operations
        message = f"there is no {method} {path:.200}; the path has {headers['Allow']}"
    elif error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is no {method} {path:.200}; {way_out(path)}"
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return JSONResponse(body, error.status_code, headers)
