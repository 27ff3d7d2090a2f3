"""The port for peers: kept reports, connections that end with their certificates, refusals that say so."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from voxfleet_gateway.location.peer_rtt_sync import RttAnswers
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.request_context import new_context
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.peers import KEPT_SECONDS, PeerPort
from voxfleet_gateway.server.requests.authentication import PEER_REGION, SPILLED

CERTIFICATE = {"subjectAltName": (("DNS", "us"),), "notAfter": "Jan  1 00:00:00 2030 GMT"}


class Tls:
    """Contexts of which the connection's is the present one, or not."""

    is_new = False

    def is_current(self, _connection: Any) -> bool:
        return not self.is_new


class Transport:
    """A connection with a certificate."""

    def __init__(self, certificate: Any) -> None:
        self.certificate = certificate

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peercert": self.certificate, "ssl_object": object()}.get(name, default)


def request(path: str = "/internal/region", certificate: Any = CERTIFICATE, **headers: str) -> web.Request:
    method = "GET" if path.startswith("/internal") else "POST"
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request(method, path, headers=given, transport=Transport(certificate))


@pytest.fixture
def tls() -> Tls:
    return Tls()


@pytest.fixture
def port(tls: Any) -> PeerPort:
    made: list[int] = []

    def report() -> bytes:
        made.append(1)
        return b"report %d" % len(made)

    answers = RttAnswers(RttStore("eu"))
    return PeerPort(tls, lambda: {"us", "ap"}, "eu", report, answers, clock=lambda: 1.8e9)


async def handler(_request: web.Request) -> web.Response:
    return web.Response(text="served")


async def test_a_burst_of_polls_costs_one_report(port: PeerPort) -> None:
    now_seconds = 5.0
    port.monotonic = lambda: now_seconds
    for expected in (b"report 1", b"report 2"):
        bodies = {(await port.admit(request(), handler)).body for _ in range(100)}  # type: ignore[attr-defined]
        assert bodies == {expected}
        now_seconds += KEPT_SECONDS


async def test_a_handler_reads_the_region_by_its_certificate(port: PeerPort) -> None:
    asked = request("/v1/audio/speech", Voxfleet_Tenant="acme", Voxfleet_Hops="1")
    response = await port.admit(asked, handler)
    assert isinstance(response, web.Response)
    assert response.text == "served"
    assert (asked[PEER_REGION], asked[SPILLED].tenant) == ("us", "acme")


@pytest.mark.parametrize(
    "certificate",
    [None, CERTIFICATE | {"notAfter": "Jan  1 00:00:00 2027 GMT"}, CERTIFICATE | {"subjectAltName": (("DNS", "sa"),)}],
)
@pytest.mark.parametrize("path", ["/internal/region", "/internal/rtt", "/v1/audio/speech"])
async def test_a_connection_that_outlives_its_certificate_is_closed(
    path: str, certificate: Any, port: PeerPort
) -> None:
    response = await port.admit(request(path, certificate), handler)
    assert (response.status, response.headers["Voxfleet-Refusal"]) == (403, "unknown_peer")
    assert response.keep_alive is False


async def test_the_regions_own_certificate_reads_reports_and_sends_no_requests(port: PeerPort) -> None:
    own = CERTIFICATE | {"subjectAltName": (("DNS", "eu"),)}
    assert (await port.admit(request(certificate=own), handler)).status == 200
    assert (await port.admit(request("/internal/rtt", own), handler)).body == b'{"cells":[]}'  # type: ignore[attr-defined]
    assert (await port.admit(request("/v1/audio/speech", own), handler)).status == 403


async def test_the_code_of_a_refusal_is_sent_to_the_peer(port: PeerPort) -> None:
    asked, response = request("/v1/audio/speech"), web.Response(status=503)
    context = asked[CONTEXT] = new_context("r-1", "POST", "/v1/audio/speech", "eu")
    context.record_refusal("queue_full")
    await port.prepare(asked, response)
    assert response.headers["Voxfleet-Refusal"] == "queue_full"


async def test_headers_that_cannot_be_are_refused(port: PeerPort) -> None:
    response = await port.admit(request("/v1/audio/speech", Voxfleet_Hops="2"), handler)
    assert (response.status, response.headers["Voxfleet-Refusal"]) == (400, "invalid_spill")


@pytest.mark.parametrize("case", ["open", "new files", "draining"])
async def test_a_connection_is_not_kept_past_its_certificates_or_a_drain(case: str, port: PeerPort, tls: Tls) -> None:
    tls.is_new = case == "new files"
    port.is_draining = lambda: case == "draining"
    response = web.Response()
    await port.prepare(request(), response)
    assert response.headers.get("Connection") == (None if case == "open" else "close")
