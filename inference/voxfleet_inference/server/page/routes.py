"""Serves the page with a Content-Security-Policy that allows what the page does and nothing else.

Knows: FastAPI, the page's file, and the policy that follows from it.
Does not know: what the page shows.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_PAGE: Final = Path(__file__).with_name("page.html")


def add_page(app: FastAPI, model_name: str) -> None:
    """Add the page's route; `model_name` is filled into its text."""
    source = _PAGE.read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": content_security_policy(source),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # revalidate: after an update the page and the API must match
    }
    text = source.replace("{{model}}", html.escape(model_name, quote=True))

    @app.get("/", response_class=HTMLResponse)
    async def page() -> HTMLResponse:
        """A page to try the server with."""
        return HTMLResponse(text, headers=headers)


def content_security_policy(source: str) -> str:
    """Return the policy: this page's script and style by their hashes, this server's API, blobs of audio (CSP 3)."""
    allowed = {
        "default-src": "'none'",
        "script-src": _hash_of("script", source),
        "style-src": _hash_of("style", source),
        "connect-src": "'self'",
        "media-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())


def _hash_of(element: str, source: str) -> str:
    inside = re.search(f"<{element}>(.*?)</{element}>", source, re.DOTALL)
    assert inside is not None, f"the page has one <{element}> without attributes"  # noqa: S101
    digest = hashlib.sha256(inside[1].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
