"""An API server that keeps one Secret, with resourceVersions, and the command line in this process."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from voxfleet_cli.__main__ import app


class SecretServer:
    """GET, POST and PUT of one Secret, as an API server answers them."""

    path = "/api/v1/namespaces/voxfleet-system/secrets"

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.version = 0
        self.calls: list[str] = []
        self.before_write: Callable[[], None] = lambda: None
        self.denied = ""

    def put(self, secret: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = secret["metadata"] | {"resourceVersion": str(self.version), "uid": "u-1"}
        self.secret = secret | {"metadata": metadata}
        return self.secret

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append(method)
        if self.denied:
            return 403, {"message": self.denied}
        if method == "GET":
            return (200, self.secret) if self.secret is not None else (404, {"message": "not found"})
        self.before_write()
        if method == "POST":
            assert path == self.path
            return (409, {"message": "exists"}) if self.secret is not None else (201, self.put(body))
        if self.secret is None or body["metadata"]["resourceVersion"] != self.secret["metadata"]["resourceVersion"]:
            return 409, {"message": "the object has been modified"}
        return 200, self.put(body)


@pytest.fixture
def server() -> Iterator[SecretServer]:
    kept = SecretServer()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            status, answer = kept.answer(self.command, self.path, json.loads(self.rfile.read(length) or b"{}"))
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _respond  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{http.server_port}"  # type: ignore[attr-defined]
    yield kept
    http.shutdown()
    http.server_close()
    thread.join()


Run = Callable[..., Result]


@pytest.fixture
def run(server: Any, tmp_path: Path) -> Run:
    """Run `voxfleet keys` against the server."""
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "k", "cluster": {"server": server.url}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    }  # fmt: skip
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))

    def invoke(*arguments: str, options: tuple[str, ...] = ()) -> Result:
        return CliRunner().invoke(app, ["keys", "--kubeconfig", str(path), *options, *arguments])

    return invoke
