"""One log line and one request id per request; neither holds the text.

Knows: ASGI messages, X-Request-Id and the log's form.
Does not know: what requests ask for.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A given id goes into the log and into a response header, so it must not contain control characters.
_SAFE_ID: Final = re.compile(r"^[A-Za-z0-9._:-]{1,128}$")
_QUIET_PATHS: Final = frozenset({"/health/live", "/health/ready", "/internal/load", "/metrics"})  # polled
_STATE_KEY: Final = "request_id"
_logger: Final = structlog.get_logger("voxfleet_inference")


def configure_logging(level: str) -> None:
    """Log JSON lines to stderr, from this package and from uvicorn."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, processors[-1]],
        foreign_pre_chain=[*processors[:-1], structlog.processors.format_exc_info],
    )
    handler.setFormatter(formatter)
    handler.addFilter(_is_needed)
    # uvicorn logs every WebSocket at level INFO.
    least = max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()])
    logging.basicConfig(level=least, handlers=[handler], force=True)


class RequestLog:
    """ASGI middleware: takes or makes X-Request-Id, and logs each request's end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id in the log's context and in the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})[_STATE_KEY] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                _log_end(scope, status, time.monotonic() - started)


def request_id_of(scope: Scope) -> str:
    """Return the id that `RequestLog` gave the request; empty for a WebSocket's, whose session has its own."""
    return str(scope.get("state", {}).get(_STATE_KEY, ""))


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _SAFE_ID.match(given) else uuid.uuid4().hex


def _log_end(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"] not in _QUIET_PATHS:
        _logger.info("request", method=scope["method"], path=scope["path"], status=status, seconds=round(seconds, 4))


def _is_needed(record: logging.LogRecord) -> bool:
    """Return False for uvicorn's lines that repeat another line, or are wrong."""
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    was_logged = kind == "BrokenResponseError"  # as "speech_aborted"
    # uvicorn logs this for each WebSocket that is rejected with an HTTP response, as for a missing key; that is allowed
    is_wrong = str(record.msg).startswith("ASGI callable returned without completing handshake")
    return not (was_logged or is_wrong)
