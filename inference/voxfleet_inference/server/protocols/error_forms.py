"""ASGI middleware: errors on the paths of other servers' protocols are sent in the form of their protocol.

Knows: ASGI over HTTP, and in place of a WebSocket's handshake. Does not know: the forms (voxfleet_protocols.errors), or
where an error comes from: each is made in OpenAI's form.
"""

from __future__ import annotations

import uuid
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from voxfleet_protocols.errors import ErrorForm, form_of, in_form

from voxfleet_inference.logs import request_id_of

_FIRST_ERROR: Final = 400


class ErrorFormMiddleware:
    """Rewrites error responses; they are small and complete, so that each can be kept until its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its errors come back in the form of its path."""
        form = form_of(scope["path"]) if scope["type"] in {"http", "websocket"} else None
        if form is not None:
            send = _Rewriter(send, form, request_id_of(scope) or uuid.uuid4().hex).send
        await self._app(scope, receive, send)


class _Rewriter:
    """One response: an error is kept until its end, and anything else passed on at once."""

    def __init__(self, send: Send, form: ErrorForm, request_id: str) -> None:
        self._send, self._form, self._request_id = send, form, request_id
        self._head: Message | None = None  # of an error
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        """Send a message of the application."""
        if message["type"].endswith("http.response.start") and message["status"] >= _FIRST_ERROR:
            self._head = message
        elif self._head is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_all(self._head, message)

    async def _send_all(self, head: Message, last: Message) -> None:
        body = in_form(self._form, bytes(self._body), self._request_id)
        headers = MutableHeaders(raw=[*head["headers"]])
        headers.update({"content-type": "application/json", "content-length": str(len(body))})
        if self._form.request_id_header:
            headers[self._form.request_id_header] = self._request_id
        await self._send({**head, "headers": headers.raw})
        await self._send({**last, "body": body})
