"""Clients against a stub gateway that answers, refuses, breaks off, or is absent: each end is counted as what it is."""

from __future__ import annotations

import http.server
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from voxfleet_demo.chaos.load import TEXTS, Load
from voxfleet_demo.chaos.outcomes import Ending

SECOND = b"\x01\x00" * 44_100
REGIONS = ("eu-central", "us-east")


def answer(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 200, {"Content-Length": str(len(SECOND))})
    handler.wfile.write(SECOND)


def answer_with_half(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 200, {"Content-Length": str(len(SECOND) // 2)})
    handler.wfile.write(SECOND[: len(SECOND) // 2])


def break_off(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 200, {"Content-Length": str(len(SECOND))})
    handler.wfile.write(SECOND[: len(SECOND) // 2])


def break_off_in_chunks(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 200, {"Transfer-Encoding": "chunked"})
    handler.wfile.write(b"4\r\nabcd\r\n")


def say_nothing(_: BaseHTTPRequestHandler) -> None:
    """Close the connection."""


def refuse(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 503, {"Content-Length": "0", "Retry-After": "1"})


def fail(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 500, {"Content-Length": "0", "Retry-After": "1"})


def fail_without_retry_after(handler: BaseHTTPRequestHandler) -> None:
    head(handler, 503, {"Content-Length": "0"})


def head(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()


@contextmanager
def gateway(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            respond(self)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def endings(urls: dict[str, str], requests: int = 2) -> list[tuple[str, Ending]]:
    load = Load("narrator", urls.__getitem__, dict.fromkeys(TEXTS, 1.0))
    with load.running(clients=1):
        deadline = time.monotonic() + 60
        while len(load.outcomes) < requests and time.monotonic() < deadline:
            time.sleep(0.05)
    return [(outcome.gateway, outcome.ending) for outcome in load.outcomes[:requests]]


@pytest.mark.parametrize(
    ("respond", "ending"),
    [
        (answer, Ending.ANSWERED),
        (answer_with_half, Ending.FALSE),
        (break_off, Ending.CUT),
        (break_off_in_chunks, Ending.CUT),
        (say_nothing, Ending.LOST),
        (refuse, Ending.REFUSED),
        (fail, Ending.LOST),
        (fail_without_retry_after, Ending.LOST),
    ],
)
def test_the_end_of_a_request_is_counted_as_what_its_client_sees(
    respond: Callable[[BaseHTTPRequestHandler], None], ending: Ending
) -> None:
    with gateway(respond) as url:
        assert endings(dict.fromkeys(REGIONS, url), requests=1) == [("eu-central", ending)]


def test_a_client_that_reaches_no_gateway_asks_the_other_one() -> None:
    with gateway(answer) as url:
        found = endings({"eu-central": "http://127.0.0.1:9", "us-east": url})
    assert found == [("eu-central", Ending.UNREACHED), ("us-east", Ending.ANSWERED)]


def test_of_six_clients_one_of_each_region_is_far_from_its_gateway() -> None:
    sent: list[tuple[str, str]] = []
    everyone = threading.Barrier(7)

    def answer_to(region: str) -> Callable[[BaseHTTPRequestHandler], None]:
        def respond(handler: BaseHTTPRequestHandler) -> None:
            sent.append((region, handler.headers["Voxfleet-Client-Location"]))
            everyone.wait(60)
            answer(handler)

        return respond

    with gateway(answer_to("eu-central")) as eu, gateway(answer_to("us-east")) as us:
        load = Load("narrator", {"eu-central": eu, "us-east": us}.__getitem__, dict.fromkeys(TEXTS, 1.0))
        with load.running(clients=6):
            everyone.wait(60)
            load.end()
    frankfurt, ashburn = "50.11,8.68", "39.04,-77.49"
    near = [("eu-central", frankfurt), ("us-east", ashburn)]
    assert Counter(sent) == Counter([*near, *near, ("us-east", frankfurt), ("eu-central", ashburn)])


def test_leaving_the_block_waits_for_open_requests() -> None:
    both_sent = threading.Barrier(3)

    def answer_late(handler: BaseHTTPRequestHandler) -> None:
        both_sent.wait(60)
        time.sleep(1)
        answer(handler)

    with gateway(answer_late) as url:
        load = Load("narrator", lambda _: url, dict.fromkeys(TEXTS, 1.0))
        with load.running(clients=2):
            both_sent.wait(60)
        assert [outcome.ending for outcome in load.outcomes] == [Ending.ANSWERED] * 2


def test_each_request_has_the_key_that_is_valid_when_it_begins() -> None:
    sent, keys = [], iter(["one", "two"])

    def note(handler: BaseHTTPRequestHandler) -> None:
        sent.append(handler.headers["Authorization"])
        answer(handler)

    with gateway(note) as url:
        load = Load("narrator", lambda _: url, dict.fromkeys(TEXTS, 1.0), lambda: next(keys, "three"))
        with load.running(clients=1):
            deadline = time.monotonic() + 60
            while len(load.outcomes) < 3 and time.monotonic() < deadline:
                time.sleep(0.05)
    assert sent[:3] == ["Bearer one", "Bearer two", "Bearer three"]
