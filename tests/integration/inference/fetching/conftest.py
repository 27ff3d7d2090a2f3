"""A hub on loopback with one repository at one commit, for the real client (HF_ENDPOINT).

It responds as the public one does: large files (safetensors) are LFS objects that are redirected to another path and
identified by their SHA-256, small ones are git blobs. Tests set its faults.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
from moto.server import ThreadedMotoServer
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint

REPOSITORY, COMMIT = "org/voice", "c0ffee" * 6 + "beef"
LARGE = (".safetensors", ".pth")
CDN_ERROR = 520  # the client retries 502 and 503 for half a minute, and 520 not at all


def blob_name(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """Its files, its faults, and the requests that it got."""

    files: dict[str, bytes]
    url: str = ""
    cuts: dict[str, list[int]] = field(
        default_factory=dict
    )  # bytes after which a response breaks off, one per response
    swapped: dict[str, bytes] = field(default_factory=dict)  # sent instead of the listed file
    held: dict[str, threading.Event] = field(
        default_factory=dict
    )  # half of the file is sent at once, the rest after this event
    is_down: bool = False
    is_gated: bool = False
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # requested files, each with its Range

    def tree(self) -> list[dict[str, Any]]:
        return [self.row(name, body) for name, body in self.files.items()]

    @staticmethod
    def row(name: str, body: bytes) -> dict[str, Any]:
        row = {"type": "file", "path": name, "size": len(body), "oid": blob_name(body)}
        lfs = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}
        return row | ({"lfs": lfs} if name.endswith(LARGE) else {})

    def downloads(self, name: str) -> list[str | None]:
        return [ranged for asked, ranged in self.asked if asked == name]


class HubHandler(BaseHTTPRequestHandler):
    hub: Hub  # the fixture makes a class per hub
    server: ThreadingHTTPServer

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(self.path.partition("?")[0])
        name = path.rpartition("/")[2]
        if self.hub.is_down:
            self.reply(CDN_ERROR, b"")
        elif path.startswith("/objects/"):  # the client sends no token to another host
            self.send_file(name)
        elif self.hub.is_gated and self.headers.get("Authorization") != "Bearer right":
            self.reply(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif path == f"/api/models/{REPOSITORY}/tree/{COMMIT}":
            self.reply(200, json.dumps(self.hub.tree()).encode())
        elif path in {f"/api/models/{REPOSITORY}/revision/{name}" for name in ("main", "v2", COMMIT)}:
            listed = [{"rfilename": each} for each in self.hub.files]
            self.reply(200, json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": listed}).encode())
        elif path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(f"/{REPOSITORY}/resolve/{COMMIT}/") and name in self.hub.files:
            self.resolve(name, self.hub.files[name])
        else:
            self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def resolve(self, name: str, body: bytes) -> None:
        commit = {"X-Repo-Commit": COMMIT}
        if name.endswith(LARGE):
            linked = {"X-Linked-ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Linked-Size": str(len(body))}
            cdn = f"http://localhost:{self.server.server_port}"  # another host, as the public hub's
            self.reply(302, b"", {**commit, **linked, "Location": f"{cdn}/objects/{name}"})
        elif self.command == "HEAD":
            self.reply(200, body, {**commit, "ETag": f'"{blob_name(body)}"'})
        else:
            self.send_file(name, {**commit, "ETag": f'"{blob_name(body)}"'})

    def send_file(self, name: str, headers: dict[str, str] | None = None) -> None:
        ranged = self.headers.get("Range")
        self.hub.asked.append((name, ranged))
        body = self.hub.swapped.get(name, self.hub.files[name])
        start = int(ranged.removeprefix("bytes=").partition("-")[0]) if ranged else 0
        where = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if ranged else {}
        self.start(206 if ranged else 200, len(body) - start, {**(headers or {}), **where, "Accept-Ranges": "bytes"})
        if name in self.hub.held:
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.hub.held[name].wait(60)
            with suppress(OSError):  # the client may be gone
                self.wfile.write(body[half:])
        elif cuts := self.hub.cuts.get(name):
            self.wfile.write(body[start : start + cuts.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(body[start:])

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.start(status, len(body), headers or {})
        if self.command == "GET":
            self.wfile.write(body)

    def start(self, status: int, size: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(size), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder, 0)
    return {each.name: each.read_bytes() for each in folder.iterdir()}


@pytest.fixture
def hub(tiny_files: dict[str, bytes]) -> Iterator[Hub]:
    served = Hub(tiny_files | {"README.md": b"no part of a checkpoint"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (HubHandler,), {"hub": served}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield served
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Fetching:
    """`voxfleet-inference fetch` as a user runs it, into one folder."""

    source: str
    environment: dict[str, str]
    folder: Path

    @property
    def target(self) -> Path:
        return self.folder / "weights"

    def start(
        self, source: str = "", revision: str = "main", target: Path | None = None, *flags: str, **environment: str
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "voxfleet_inference", "fetch", "--source", source or self.source]
        return subprocess.Popen(
            [*command, "--revision", revision, "--to", str(target or self.target), *flags],
            env={**os.environ, **self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def there(self) -> dict[str, bytes]:
        """The files of the target, without the fetcher's own."""
        return {
            each.name: each.read_bytes()
            for each in self.target.iterdir()
            if each.is_file() and not each.name.startswith(".")
        }


@pytest.fixture
def fetching(hub: Hub, tmp_path: Path) -> Fetching:
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    return Fetching(f"hf://{REPOSITORY}", environment, tmp_path)


BUCKET, PREFIX = "voices", "models/voice"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}


@dataclass
class Bucket:
    """A bucket of an S3-compatible server, behind a proxy that cuts its responses."""

    client: Any
    url: str
    cuts: list[int]  # bytes of the server after which the proxy cuts a connection, one for each connection

    def put(self, name: str, body: bytes, **fields: Any) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=body, **fields)


class CuttingProxy(socketserver.BaseRequestHandler):
    cuts: list[int]
    upstream: tuple[str, int]

    def handle(self) -> None:
        limit = self.cuts.pop(0) if self.cuts else None
        with socket.create_connection(self.upstream) as server:
            sender = threading.Thread(target=self.forward, args=(self.request, server, None), daemon=True)
            sender.start()
            self.forward(server, self.request, limit)
            self.request.close()

    @staticmethod
    def forward(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        sent = 0
        with suppress(OSError):
            while (chunk := source.recv(2**16)) and (limit is None or sent < limit):
                sink.sendall(chunk)
                sent += len(chunk)


@pytest.fixture
def bucket(tiny_files: dict[str, bytes]) -> Iterator[Bucket]:
    store = ThreadedMotoServer(port=0, verbose=False)
    store.start()
    _, port = store.get_host_and_port()
    cuts: list[int] = []
    fields = {"cuts": cuts, "upstream": ("127.0.0.1", port)}
    proxy = socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Proxy", (CuttingProxy,), fields))
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **KEYS)
    client.create_bucket(Bucket=BUCKET)
    made = Bucket(client, f"http://127.0.0.1:{proxy.server_address[1]}", cuts)
    for name, body in {**tiny_files, "README.md": b"no part", "old/config.json": b"{}"}.items():
        made.put(name, body)
    yield made
    proxy.shutdown()
    proxy.server_close()
    store.stop()


@pytest.fixture
def fetching_s3(bucket: Bucket, tmp_path: Path) -> Fetching:
    environment = {"AWS_ENDPOINT_URL": bucket.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    return Fetching(f"s3://{BUCKET}/{PREFIX}", environment, tmp_path)
