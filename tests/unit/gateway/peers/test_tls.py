"""Handshakes between regions over loopback: which succeed, what a certificate says, and that new files count."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import PeerCertificateError, SettingsError
from voxfleet_gateway.peers.tls import CA_FILE, PeerTls, region_of

CERTIFICATE = {"subjectAltName": (("DNS", "eu"),), "notAfter": "Jan  1 00:00:00 2030 GMT"}


@contextlib.asynccontextmanager
async def listening(tls: PeerTls) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the port of a server that sends one byte, and the certificates of its clients."""
    seen: list[dict[str, Any]] = []

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert"))
        seen[-1]["is_current"] = tls.is_current(writer.get_extra_info("ssl_object"))
        writer.write(b"x")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls.listening)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def shake(port: int, context: ssl.SSLContext | None, region: str) -> bytes:
    """Connect as a gateway that expects this region. Raises SSLError or ConnectionError when it is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=region)
    try:
        # In TLS 1.3 the client's handshake ends before the server has verified its certificate.
        if not (received := await asyncio.wait_for(reader.read(), 10)):
            raise ConnectionResetError
        return received
    finally:
        writer.close()


async def test_two_regions_of_one_authority_know_each_other(peer_folders: Any) -> None:
    eu, us = PeerTls.of(peer_folders.issue("eu")), PeerTls.of(peer_folders.issue("us", "us", "us.tts.example.com"))
    async with listening(eu) as (port, seen):
        assert await shake(port, us.client, "eu") == b"x"
    assert region_of(seen[0], {"eu", "us"}, time.time()) == "us"


@pytest.mark.parametrize("fault", ["other authority", "expired", "another region", "no certificate"])
async def test_other_handshakes_fail(fault: str, peer_folders: Any, new_authority: Callable[[], Any]) -> None:
    eu = PeerTls.of(peer_folders.issue("eu"))
    client = PeerTls.of(
        peer_folders.issue(
            "us",
            authority=new_authority() if fault == "other authority" else None,
            is_expired=fault == "expired",
        )
    ).client
    if fault == "other authority":
        client.load_verify_locations(peer_folders.root / "eu" / CA_FILE)  # so that the server refuses, not the client
    if fault == "no certificate":
        client = ssl.create_default_context(cafile=str(peer_folders.root / "eu" / CA_FILE))
    async with listening(eu) as (port, seen):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shake(port, client, "us" if fault == "another region" else "eu")
    assert not seen


async def test_a_server_whose_certificate_expired_is_refused_by_its_client(peer_folders: Any) -> None:
    eu, us = PeerTls.of(peer_folders.issue("eu", is_expired=True)), PeerTls.of(peer_folders.issue("us"))
    async with listening(eu) as (port, _):
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await shake(port, us.client, "eu")


async def test_a_common_name_or_a_wildcard_is_no_region(peer_folders: Any) -> None:
    us = PeerTls.of(peer_folders.issue("us"))
    for names in (("other",), ("*",), ("*.eu",)):
        eu = PeerTls.of(peer_folders.issue("eu", *names))
        async with listening(eu) as (port, _):
            with pytest.raises(ssl.SSLCertVerificationError):
                await shake(port, us.client, "eu")


async def test_a_new_authority_counts_from_the_next_handshake_on(
    peer_folders: Any, new_authority: Callable[[], Any]
) -> None:
    eu, us = PeerTls.of(peer_folders.issue("eu")), PeerTls.of(peer_folders.issue("us"))
    other = new_authority()
    of_old = us.client
    following = [asyncio.create_task(each.follow(0.02)) for each in (eu, us)]
    async with listening(eu) as (port, seen):
        assert await shake(port, us.client, "eu") == b"x"
        for region in ("eu", "us"):
            peer_folders.issue(region, authority=other)
        async with asyncio.timeout(30):
            while us.client is of_old or not await _is_accepted(port, us.client):  # noqa: ASYNC110  # files have no event
                await asyncio.sleep(0.02)
        assert seen[-1]["is_current"]
        of_old.load_verify_locations(peer_folders.root / "eu" / CA_FILE)
        with pytest.raises((ssl.SSLError, ConnectionError)):  # what the old authority signed
            await shake(port, of_old, "eu")
    for task in following:
        task.cancel()


async def _is_accepted(port: int, client: ssl.SSLContext) -> bool:
    try:
        return await shake(port, client, "eu") == b"x"
    except (ssl.SSLError, ConnectionError):
        return False


async def test_files_that_do_not_fit_together_change_nothing(peer_folders: Any) -> None:
    folder: Path = peer_folders.issue("eu")
    eu = PeerTls.of(folder)
    before = eu.server
    (folder / "tls.key").write_text("no key")
    with pytest.raises(SettingsError, match="--peer-tls-folder"):
        eu.load()
    assert eu.server is before


def test_a_folder_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"tls\.crt, tls\.key and ca\.crt .* No such file"):
        PeerTls.of(tmp_path)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (None, "no client certificate"),
        ({}, "no client certificate"),
        (CERTIFICATE | {"subjectAltName": (("DNS", "mars"),)}, "no region that the registry names: mars"),
        (CERTIFICATE | {"subjectAltName": ()}, "no region that the registry names: none"),
        (CERTIFICATE | {"subjectAltName": (("URI", "eu"), ("IP Address", "10.0.0.1"))}, "names: none"),
        (CERTIFICATE | {"subjectAltName": (("DNS", "eu"), ("DNS", "us"))}, "several regions: eu, us"),
        (CERTIFICATE | {"notAfter": "Jan  1 00:00:00 2020 GMT"}, "region eu expired at Jan  1 00:00:00 2020 GMT"),
    ],
)
def test_a_certificate_of_no_one_region_is_refused(certificate: Any, reason: str) -> None:
    with pytest.raises(PeerCertificateError, match=reason):
        region_of(certificate, {"eu", "us"}, 1.8e9)


@given(st.lists(st.text(max_size=80), max_size=8), st.sets(st.sampled_from(["eu", "us", "ap"])))
def test_whatever_names_there_are_a_region_is_a_known_one_that_is_named(names: list[str], known: set[str]) -> None:
    certificate = CERTIFICATE | {"subjectAltName": tuple(("DNS", name) for name in [*names, "eu"])}
    try:
        assert region_of(certificate, known, 1.8e9) in known.intersection({*names, "eu"})
    except PeerCertificateError:
        assert len(known.intersection({*names, "eu"})) != 1
