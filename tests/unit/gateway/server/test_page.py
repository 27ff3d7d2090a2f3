"""The pages: what they are given, where they may connect to, how their files are sent."""

import html
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from voxfleet_gateway.server.page import BUILT, Pages, origins
from voxfleet_gateway.server.requests.speech_request import MAX_INPUT_CHARACTERS

DB_IP = {"text": "IP Geolocation by DB-IP", "url": "https://db-ip.com"}


async def fetch(port: int, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer, await answer.read()


def context_of(page: bytes) -> dict[str, Any]:
    [content] = re.findall(r'<meta name="voxfleet" content="([^"]*)"', page.decode())
    context: dict[str, Any] = json.loads(html.unescape(content))
    return context


def files_of(page: bytes) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', page.decode())


@pytest.mark.parametrize(("kind", "named"), [("DBIP-City-Lite", [DB_IP]), ("Own", [])])
async def test_a_page_is_given_the_databases_to_name(
    wire: Any, tmp_path: Path, kind: str, named: list[dict[str, str]]
) -> None:
    writer = MMDBWriter(ip_version=4, database_type=kind)
    writer.insert_network(IPSet(["1.0.0.0/8"]), {"country_code": "AU"})
    writer.to_db_file(str(tmp_path / "city.mmdb"))
    async with wire.gateway(settings={"location_database": str(tmp_path)}) as (port, _):
        _, page = await fetch(port, "/")
    assert context_of(page)["attributions"] == named


async def test_a_page_is_given_its_gateway_s_region_and_whether_a_key_is_needed(wire: Any, keyed: Any) -> None:
    url = "https://eu.example.com"
    async with wire.gateway(gateway_url=url) as (port, _):
        _, page = await fetch(port, "/fleet")
    expected: dict[str, Any] = {"servedBy": "gateway", "region": "eu", "needsKey": False, "attributions": []}
    expected["maxInputCharacters"] = MAX_INPUT_CHARACTERS
    assert context_of(page) == expected | {"gatewayUrls": {"eu": url}}
    async with keyed(gateway_url=url) as there:
        _, page = await fetch(there.port, "/")
    assert context_of(page) == expected | {"needsKey": True, "gatewayUrls": {}}


@pytest.mark.parametrize("path", ["/", "/fleet"])
async def test_the_policy_allows_what_the_pages_do_and_nothing_else(wire: Any, path: str) -> None:
    async with wire.gateway() as (port, _):
        answers = [await fetch(port, path) for _ in range(2)]
    nonces = set()
    for answer, page in answers:
        written = answer.headers["Content-Security-Policy"]
        policy = dict(part.split(" ", 1) for part in written.split("; "))
        assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["worker-src"] == policy["connect-src"] == "'self'"
        assert not re.search(r"unsafe|data:|\*|http", written)
        [nonce] = re.findall(r"'self' 'nonce-([\w-]+)'", policy["style-src"])
        assert page.count(f'nonce="{nonce}"'.encode()) >= 2
        assert not re.search(rb"__[A-Z]+_[A-Z]+__", page), (
            "a value that was not filled in; a nonce may have two underscores"
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        nonces.add(nonce)
    assert len(nonces) == 2


async def test_the_pages_files_are_kept_by_browsers_and_sent_compressed(wire: Any) -> None:
    async with wire.gateway() as (port, _):
        files = {file for path in ("/", "/fleet") for file in files_of((await fetch(port, path))[1])}
        assert len(files) >= 4
        for file in files:
            plain, content = await fetch(port, file, **{"Accept-Encoding": "identity"})
            packed, _ = await fetch(port, file, **{"Accept-Encoding": "gzip"})
            assert content == (BUILT / file.removeprefix("/")).read_bytes()
            assert packed.headers["Content-Encoding"] == "gzip"
            assert plain.content_type == packed.content_type != "application/octet-stream"
            for answer in (plain, packed):
                assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", [b"../page.py", b"..%2findex.html", b"%2e%2e%2findex.html", b"none.js", b"", b"%00"])
async def test_no_path_reaches_another_file(wire: Any, path: bytes) -> None:
    async with wire.gateway() as (port, _):
        answer, _ = await wire.send(port, b"GET /assets/%s HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n" % path)
    assert answer.split()[1] in {b"400", b"404"}


async def test_a_checkout_without_the_built_pages_says_how_to_build_them(
    wire: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxfleet_gateway.server.app.Pages", lambda clients: Pages(clients, tmp_path))
    async with wire.gateway() as (port, _):
        answer, body = await fetch(port, "/")
    assert answer.status == 500
    assert json.loads(body)["error"]["code"] == "pages_not_built"
    assert "`make setup`" in json.loads(body)["error"]["message"]


def test_only_origins_of_https_urls_enter_the_policy() -> None:
    urls = [
        "https://a.example/tts",
        "https://a.example",
        "http://b.example",
        "https://c.example:8443/x",
        "https://d 'x'",
    ]
    assert origins(urls) == ["https://a.example", "https://c.example:8443"]
    assert origins([]) == []
