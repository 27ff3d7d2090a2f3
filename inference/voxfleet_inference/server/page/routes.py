"""Serves the built page at `/` and its files below /assets/, with a Content-Security-Policy that allows what they need.

Knows: FastAPI, where scripts/web puts what it builds from web/, which placeholders a built page has.
Does not know: what the page shows.
"""

from __future__ import annotations

import json
import mimetypes
import os
import secrets
from html import escape
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

BUILT: Final = Path(__file__).with_name("static")
NONCE: Final = "__CSP_NONCE__"
CONTEXT: Final = "__PAGE_CONTEXT__"
_NOT_BUILT: Final = "the web pages are not built; run `make setup` in the checkout, or install the wheel"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # after an update the page and the API must match, and a nonce is used once
}
# An asset's name holds the hash of its contents.
_ASSET_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
}


def add_page(app: FastAPI, max_input_characters: int, built: Path = BUILT) -> None:
    """Add the page's routes; where the pages are not built, `/` responds with how to build them."""
    source = built / "index.html"
    page = source.read_text(encoding="utf-8") if source.is_file() else None

    @app.get("/", response_class=HTMLResponse)
    async def index() -> HTMLResponse:
        """A page to speak with this server."""
        if page is None:
            raise HTTPException(500, _NOT_BUILT)
        nonce = secrets.token_urlsafe(16)
        headers = _HEADERS | {"Content-Security-Policy": content_security_policy(nonce)}
        return HTMLResponse(fill_page(page, nonce, max_input_characters), headers=headers)

    if page is not None:
        app.mount("/assets", _Assets(directory=built / "assets"))


def fill_page(source: str, nonce: str, max_input_characters: int) -> str:
    """Return the page of one response: with its nonce, and with what the page is to know of its server."""
    context = escape(json.dumps({"servedBy": "server", "maxInputCharacters": max_input_characters}))
    return source.replace(NONCE, nonce).replace(CONTEXT, context)


def content_security_policy(nonce: str) -> str:
    """Return the policy: this server's files and API, blobs of audio, and styles that carry the nonce (CSP 3)."""
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "connect-src": "'self'",  # also ws: and wss: of this host
        "img-src": "'self' blob:",
        "media-src": "'self' blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())


class _Assets(StaticFiles):
    """The pages' scripts, styles and images; sent as the build compressed them, where the client takes that."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file's response, or 304 to a client that has the file."""
        file, given = Path(full_path), Headers(scope=scope)
        headers, media_type = _ASSET_HEADERS, mimetypes.guess_type(file)[0]
        compressed = file.with_name(f"{file.name}.gz")
        if "gzip" in given.get("accept-encoding", "") and compressed.is_file():
            file, stat_result, headers = compressed, compressed.stat(), headers | {"Content-Encoding": "gzip"}
        response = FileResponse(file, status_code, headers, media_type, stat_result=stat_result)
        return NotModifiedResponse(response.headers) if self.is_not_modified(response.headers, given) else response
