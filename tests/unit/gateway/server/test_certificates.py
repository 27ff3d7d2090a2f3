"""TLS on the API's port: new files serve new connections, and open ones go on."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from voxfleet_gateway.errors import SettingsError
from voxfleet_gateway.server import certificates
from voxfleet_gateway.settings import read_settings

GET = b"GET /health/live HTTP/1.1\r\nHost: g\r\n\r\n"


class Files:
    """A certificate and its key on disk."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"

    def issue(self, number: int, *, key_only: bool = False) -> None:
        """Replace the files, as kubelet does: by new ones of the same name."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(number).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )  # fmt: skip
        written = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._replace(self.key, written)
        if not key_only:
            self._replace(self.certificate, made.public_bytes(serialization.Encoding.PEM))

    def _replace(self, path: Path, data: bytes) -> None:
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.rename(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.issue(1)
    return made


def settings(files: Files) -> dict[str, Any]:
    return {"tls_certificate": str(files.certificate), "tls_key": str(files.key)}


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """Return a connection, and the serial number of the certificate that it got."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("ssl_object")
    assert found.selected_alpn_protocol() == "http/1.1"
    return reader, writer, x509.load_der_x509_certificate(found.getpeercert(binary_form=True)).serial_number


async def responds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(GET)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    return head.startswith(b"HTTP/1.1 200")


async def test_a_new_certificate_serves_new_connections_and_open_ones_go_on(
    wire: Any, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates.Certificates.follow, "__defaults__", (0.05,))
    async with wire.gateway(settings=settings(files)) as (port, _):
        old = await connect(port)
        assert await responds(*old[:2])
        files.issue(2)
        async with asyncio.timeout(30):
            while (new := await connect(port))[2] != 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await responds(*new[:2])
        assert await responds(*old[:2])
        files.issue(3, key_only=True)  # half of a replacement, or a mistake
        await asyncio.sleep(0.5)
        again = await connect(port)
        assert (again[2], await responds(*again[:2])) == (2, True)
        files.issue(4)
        async with asyncio.timeout(30):
            while (await connect(port))[2] != 4:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await responds(*old[:2])
        old[1].close()


async def test_speech_and_plain_http_on_a_tls_port(wire: Any, files: Files) -> None:
    async with wire.gateway(wire.speaking(), settings=settings(files)) as (port, _):
        reader, writer, _ = await connect(port)
        writer.write(wire.post())
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"RIFFaudio")
        answer, _ = await wire.send(port, GET)
        assert not answer.startswith(b"HTTP/1.1 200")


async def test_a_truncated_response_does_not_look_complete_over_tls(wire: Any, files: Files) -> None:
    pod = wire.pod(wire.ok + b"Content-Length: 99\r\n\r\n", b"RIFF")
    broken = wire.pod(wire.ok + b"Transfer-Encoding: chunked\r\n\r\n", b"4\r\nRIFF\r\n")
    for each in (pod, broken):
        async with wire.gateway(each, settings=settings(files)) as (port, _):
            reader, writer, _ = await connect(port)
            writer.write(wire.post(version=b"1.0"))
            if each is broken:
                with pytest.raises((ConnectionResetError, ssl.SSLError)):
                    await asyncio.wait_for(reader.read(), 20)
            else:
                assert b"Content-Length: 99" in await asyncio.wait_for(reader.read(), 20)


async def test_files_that_are_no_pair_are_an_error_at_the_start(wire: Any, files: Files) -> None:
    files.issue(5, key_only=True)
    with pytest.raises(SettingsError, match=r"--tls-certificate .*tls.crt and --tls-key .*MISMATCH"):
        async with wire.gateway(settings=settings(files)):
            pass
    with pytest.raises(SettingsError, match="No such file"):
        async with wire.gateway(settings={"tls_certificate": "/nothing", "tls_key": str(files.key)}):
            pass


def test_a_certificate_without_a_key_is_an_error() -> None:
    with pytest.raises(SettingsError, match="set together"):
        read_settings(["--internal-key", "k", "--tls-certificate", "x"])
