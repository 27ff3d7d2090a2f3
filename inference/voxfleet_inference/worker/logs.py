"""The engine process's log: the JSON lines of the server's (logs.py), from the standard library alone.

Knows: the form of a line. Does not know: what is logged. structlog and the server's own module take a tenth of the time
in which the engine process imports everything else.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        written_at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line = {"event": record.getMessage(), "level": record.levelname.lower(), "timestamp": written_at}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_worker_logging(level: str) -> None:
    """Log JSON lines to stderr: warnings, and at `level` the progress of loading."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    chosen = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(logging.WARNING, chosen), handlers=[handler], force=True)
    logging.getLogger("voxfleet_inference.model").setLevel(chosen)
