"""The gateway's logs: JSON lines on standard output, its own and those of libraries.

Knows: the form of a line. Does not know: which events there are. Never in a log: texts, client addresses, keys.
"""

import json
import logging
import sys

import structlog


def configure_logs(level: str) -> None:
    """Write JSON lines, one per event, to standard output."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(separators=(",", ":")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # its errors quote clients' addresses


class _JsonLines(logging.Formatter):
    """Formats the warnings of libraries like the other lines."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelname.lower(), "event": record.getMessage(), "logger": record.name}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
