"""Connections through a TCP load balancer: real sockets, with and without TLS, and what must not pass."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from structlog.testing import capture_logs
from voxfleet_gateway.server.clients import proxied_site
from voxfleet_gateway.serving import listening
from voxfleet_gateway.telemetry import PROXY_HEADER_FAILURES

V1 = b"PROXY TCP4 1.2.3.4 198.51.100.7 4711 6006\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12)
    + ip_address("1.2.3.4").packed * 2
    + struct.pack("!HH", 4711, 6006)
)
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
BALANCER = {"proxy_protocol": "127.0.0.0/8", "trusted_proxies": ""}


@pytest.fixture
def database(tmp_path: Path) -> str:
    writer = MMDBWriter(ip_version=4)
    writer.insert_network(IPSet(["1.0.0.0/8"]), {"country_code": "AU"})
    writer.insert_network(IPSet(["2.0.0.0/8"]), {"country_code": "FR"})
    writer.to_db_file(str(tmp_path / "places.mmdb"))
    return str(tmp_path / "places.mmdb")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate for localhost, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "l")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (tmp_path / "tls.crt").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "tls.key").write_bytes(private)
    return tmp_path / "tls.crt", tmp_path / "tls.key"


def failures() -> float:
    return float(PROXY_HEADER_FAILURES._value.get())


@contextlib.contextmanager
def countries() -> Iterator[list[str | None]]:
    """Collect the countries of the decisions within the context."""
    found: list[str | None] = []
    with capture_logs() as logs:
        yield found
    found += [log["route_request"].get("client_country") for log in logs if log["event"] == "request"]
    assert "1.2.3.4" not in str(logs)


@pytest.mark.parametrize(("header", "country"), [(V1, "AU"), (V2, "AU"), (LOCAL, None), (b"PROXY UNKNOWN\r\n", None)])
async def test_the_headers_client_counts(wire: Any, database: str, header: bytes, country: str | None) -> None:
    with countries() as found:
        async with wire.gateway(wire.speaking(), settings=BALANCER | {"location_database": database}) as (
            port,
            gateway,
        ):
            answer, _ = await wire.send(port, header + wire.post())
            assert not gateway.clients.rtt.store.model.levels[
                "prefix"
            ].cells  # the balancer's round trip is not the client's
    assert answer.startswith(b"HTTP/1.1 200")
    assert found == [country]


async def test_every_request_of_a_connection_has_its_client(wire: Any, database: str) -> None:
    first = wire.post().replace(b"Connection: close\r\n", b"")
    settings = BALANCER | {"location_database": database}
    with countries() as found:
        async with wire.gateway(wire.speaking(), settings=settings, keep_reporting=True) as (port, gateway):
            answer, _ = await wire.send(port, V2 + first + wire.post())
            for _ in range(200):  # the connection's end is a later turn of the loop
                if not gateway.clients.proxied.sources:
                    break
                await asyncio.sleep(0.05)
            assert not gateway.clients.proxied.sources
    assert answer.count(b"HTTP/1.1 200") == 2
    assert found == ["AU", "AU"]


async def test_a_proxy_behind_the_balancer_reports_its_client(wire: Any, database: str) -> None:
    settings = BALANCER | {"location_database": database, "trusted_proxies": "1.2.3.0/24"}
    with countries() as found:
        async with wire.gateway(wire.speaking(), settings=settings) as (port, _):
            await wire.send(port, V2 + wire.post(extra=b"X-Forwarded-For: 2.3.4.5\r\n"))
    assert found == ["FR"]


async def test_a_header_that_comes_in_pieces_is_read(wire: Any, database: str) -> None:
    for header in (V1, V2):
        with countries() as found:
            async with wire.gateway(wire.speaking(), settings=BALANCER | {"location_database": database}) as (port, _):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for byte in header + wire.post():
                    writer.write(bytes([byte]))
                    await writer.drain()
                assert (await reader.read(12)) == b"HTTP/1.1 200"
                writer.close()
        assert found == ["AU"]


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nHost: g\r\n\r\n", V2[:20], b"PROXY TCP4 nonsense\r\n" + b"x" * 99]
)
async def test_a_balancers_connection_without_a_header_is_closed(
    wire: Any, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxied_site, "HEADER_SECONDS", 0.3)
    before = failures()
    async with wire.gateway(settings=BALANCER) as (port, _):
        answer, ending = await wire.send(port, data)
    assert (answer, ending) in {(b"", "EOF"), (b"", "RST")}
    assert failures() == before + 1


async def test_others_need_no_header_and_theirs_is_no_request(wire: Any) -> None:
    settings = {"proxy_protocol": "192.0.2.0/24", "trusted_proxies": ""}
    async with wire.gateway(wire.speaking(), settings=settings) as (port, _):
        answer, _ = await wire.send(port, wire.post())
        forged, _ = await wire.send(port, V1 + wire.post())
    assert answer.startswith(b"HTTP/1.1 200")
    assert forged.split()[1] == b"400"


async def test_tls_begins_after_the_header(wire: Any, database: str, pair: tuple[Path, Path]) -> None:
    tls = {"tls_certificate": str(pair[0]), "tls_key": str(pair[1]), "location_database": database}
    trusting = ssl.create_default_context(cafile=str(pair[0]))
    with countries() as found:
        async with wire.gateway(wire.speaking(), settings=BALANCER | tls) as (port, _):
            plain = socket.create_connection(("127.0.0.1", port))
            plain.sendall(V2)
            plain.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=plain, ssl=trusting, server_hostname="localhost")
            writer.write(wire.post())
            assert (await reader.read(12)) == b"HTTP/1.1 200"
            writer.close()
    assert found == ["AU"]


async def test_a_failed_handshake_leaves_nothing(wire: Any, pair: tuple[Path, Path]) -> None:
    tls = {"tls_certificate": str(pair[0]), "tls_key": str(pair[1])}
    async with wire.gateway(wire.speaking(), settings=BALANCER | tls) as (port, gateway):
        for garbage in (b"", b"GET / HTTP/1.1\r\n\r\n" * 50):
            answer, _ = await wire.send(port, V2 + garbage, wait=0.5)
            assert b"HTTP/1.1 200" not in answer
        trusting = ssl.create_default_context(cafile=str(pair[0]))
        plain = socket.create_connection(("127.0.0.1", port))
        plain.sendall(V2)
        plain.setblocking(False)
        _, writer = await asyncio.open_connection(sock=plain, ssl=trusting, server_hostname="localhost")
        assert len(gateway.clients.proxied.sources) == 1
        writer.close()
        for _ in range(200):  # the connections' ends are later turns of the loop
            if not gateway.clients.proxied.sources:
                break
            await asyncio.sleep(0.05)
        assert not gateway.clients.proxied.sources


async def test_the_kubelets_probes_use_the_internal_port(wire: Any) -> None:
    async with wire.gateway(wire.speaking(), settings=BALANCER) as (_, gateway), listening(gateway) as ports:
        for path, status in ((b"live", b"200"), (b"ready", b"200")):
            answer, _ = await wire.send(
                ports["internal"], b"GET /health/%s HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n" % path
            )
            assert answer.split()[1] == status


async def test_a_gateway_that_ends_closes_its_socket(wire: Any) -> None:
    async with wire.gateway(settings=BALANCER) as (port, _):
        idle = socket.create_connection(("127.0.0.1", port))  # has sent nothing yet
    idle.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_event_loop_of_production_takes_the_same_connections(
    wire: Any, database: str, pair: tuple[Path, Path]
) -> None:
    tls = {"tls_certificate": str(pair[0]), "tls_key": str(pair[1])}
    trusting = ssl.create_default_context(cafile=str(pair[0]))

    async def status(settings: dict[str, str], context: ssl.SSLContext | None) -> bytes:
        async with wire.gateway(wire.speaking(), settings=BALANCER | {"location_database": database} | settings) as (
            port,
            _,
        ):
            plain = socket.create_connection(("127.0.0.1", port))
            plain.sendall(V1)
            plain.setblocking(False)
            name = "localhost" if context else None
            reader, writer = await asyncio.open_connection(sock=plain, ssl=context, server_hostname=name)
            writer.write(wire.post())
            answer = await reader.read(12)
            writer.close()
            return answer

    with countries() as found:
        assert uvloop.run(status({}, None)) == b"HTTP/1.1 200"
        assert uvloop.run(status(tls, trusting)) == b"HTTP/1.1 200"
    assert found == ["AU", "AU"]
