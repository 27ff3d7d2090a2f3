"""Keys that must not be taken: what a status means, and probes against a gateway that learns of a revoked key late."""

import http.server
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler

import pytest
from voxfleet_demo.chaos.key_rotation import _probing, probe_ending, status_with
from voxfleet_demo.chaos.outcomes import Ending, Outcome


@pytest.mark.parametrize(
    ("status", "was_denied", "ending"),
    [
        (200, False, None),  # the Secret is on its way
        (401, False, Ending.DENIED),
        (401, True, Ending.DENIED),
        (200, True, Ending.ADMITTED),
        (500, False, Ending.LOST),
        (429, True, Ending.LOST),
        (0, False, Ending.LOST),
    ],
)
def test_what_a_status_means(status: int, ending: Ending | None, *, was_denied: bool) -> None:
    assert probe_ending(status, was_denied=was_denied) is ending


def test_a_key_that_comes_back_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxfleet_demo.chaos.key_rotation.PROBE_PAUSE_SECONDS", 0.001)
    answers = iter([200, 200, 401, 401, 200])
    is_over = threading.Event()

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Authorization"] == "Bearer old"
            status = next(answers, None)
            if status is None:
                is_over.set()
            self.send_response(status or 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    outcomes: list[Outcome] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with _probing({"us-east": f"http://127.0.0.1:{server.server_port}"}, "old", outcomes):
            assert is_over.wait(30)
        server.shutdown()
    found = Counter(outcome.ending for outcome in outcomes)
    assert found[Ending.ADMITTED] == 1
    assert found[Ending.DENIED] >= 2
    assert found.keys() == {Ending.ADMITTED, Ending.DENIED}


def test_a_gateway_that_is_not_there_has_no_status() -> None:
    assert status_with("http://127.0.0.1:9", "any") == 0
