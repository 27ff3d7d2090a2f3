"""An S3-compatible store of weights that counts what it sends, on this machine's end of the link to the cluster."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from voxfleet_demo.installation import CHECKOUT, Installation
from voxfleet_testbed.settings import Settings
from werkzeug.serving import make_server

MODEL = CHECKOUT / "inference" / "models" / "demo"
BUCKET, PREFIX = "voices", "models/demo"
HELD = "model.safetensors"  # more than half of the bytes
DRIP_SECONDS = 5  # less than the client's time-out


@dataclass
class Request:
    """What a client asked for, and how much was sent."""

    method: str
    path: str
    authorization: str
    sent_bytes: int = 0


@dataclass
class Store:
    """A bucket with a checkpoint; the second half of the file HELD is sent after `released`."""

    application: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))
    url: str = ""
    source: str = f"s3://{BUCKET}/{PREFIX}"
    access_key: str = "ONEFETCHKEY"
    secret_key: str = "secret"
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        """Answer a request (WSGI)."""
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_AUTHORIZATION", ""))
        self.requests.append(request)
        return self.sent(request, self.application(environ, start_response))

    def sent(self, request: Request, body: Any) -> Iterator[bytes]:
        is_held = request.method == "GET" and request.path.endswith(f"/{HELD}")
        with closing(body):
            for part in body:
                for each in self.dripping(part) if is_held else (part,):
                    request.sent_bytes += len(each)
                    yield each

    def dripping(self, part: bytes) -> Iterator[bytes]:
        at = len(part) // 2
        yield part[:at]
        while not self.released.wait(DRIP_SECONDS):
            yield part[at : at + 1]
            at += 1
        yield part[at:]

    @property
    def downloads(self) -> list[tuple[str, int]]:
        """Names and sent bytes of the requested objects."""
        objects = f"/{self.source.removeprefix('s3://')}/"
        asked = [each for each in self.requests if each.method == "GET" and each.path.startswith(objects)]
        return sorted((each.path.removeprefix(objects), each.sent_bytes) for each in asked)


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, bytes]:
    """The files that a server needs; the rest of the folder is for training."""
    return {
        each.name: each.read_bytes() for each in MODEL.iterdir() if each.suffix in {".json", ".pth", ".safetensors"}
    }


@pytest.fixture(scope="module")
def store(installation: Installation, testbed_settings: Settings) -> Iterator[Store]:
    if testbed_settings.kubeconfig is not None:
        pytest.skip("the volume is a folder of this machine, and the nodes of KUBECONFIG's cluster are others")
    served = Store()
    server = make_server(
        address_towards(installation.gateway_url()), 0, served, threaded=True, request_handler=MotoRequestHandler
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.url = f"http://{server.host}:{server.port}"
    keys = {"aws_access_key_id": served.access_key, "aws_secret_access_key": served.secret_key}
    client = boto3.client("s3", endpoint_url=served.url, region_name="us-east-1", **keys)
    client.create_bucket(Bucket=BUCKET)
    for path in MODEL.iterdir():
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{path.name}", Body=path.read_bytes())
    yield served
    served.released.set()
    server.shutdown()
    server.server_close()


def address_towards(url: str) -> str:
    """Return the address of this machine that packets to a URL's host leave from: pods reach it too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        unsent.connect((urlsplit(url).hostname, 9))
        found: str = unsent.getsockname()[0]
    return found
