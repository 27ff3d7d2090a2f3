"""Serves the progress of a fetch over HTTP, for the operator: two numbers, in a thread.

Knows the path. Does not know what is fetched.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PATH: Final = "/internal/progress"


@dataclass(slots=True)
class LatestProgress:
    """The newest report of a download."""

    present_bytes: int = 0
    total_bytes: int = 0

    def report(self, present: int, total: int) -> None:
        """Replace the report."""
        self.present_bytes, self.total_bytes = present, total


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6  # with IPV6_V6ONLY off: pods of every family

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


@contextmanager
def served(progress: LatestProgress, port: int) -> Iterator[int]:
    """Serve the progress for the time of a `with` block; yields the port (port 0 takes a free one)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = {"present_bytes": progress.present_bytes, "total_bytes": progress.total_bytes}
            is_known = self.path == PATH
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode() if is_known else b"{}")

        def log_message(self, *_: object) -> None:
            return

    server = _Server(("::", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
