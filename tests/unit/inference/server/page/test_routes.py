"""The page at `/` and its files: what the policy allows, how files are cached, what no request can reach."""

from __future__ import annotations

import asyncio
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from voxfleet_inference.server.page.routes import BUILT, add_page

NONCE = re.compile(r"'nonce-([\w-]+)'")


@pytest.fixture
async def client(server: Any) -> Any:
    async with httpx.AsyncClient(base_url=server.url) as client:
        yield client


def files_of(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', page)


async def test_the_policy_allows_what_the_page_does_and_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["worker-src"] == "'self'"
    assert policy["img-src"] == policy["media-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert not re.search(r"unsafe|data:|\*|http", answer.headers["content-security-policy"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", answer.text), "the policy would refuse it"


async def test_each_response_has_its_own_nonce_in_page_and_policy(client: httpx.AsyncClient) -> None:
    nonces = set()
    for _ in range(2):
        answer = await client.get("/")
        [nonce] = NONCE.findall(answer.headers["content-security-policy"])
        assert answer.text.count(f'nonce="{nonce}"') >= 2
        nonces.add(nonce)
        assert not re.search("__[A-Z]+_[A-Z]+__", answer.text), "a value that was not filled in"
    assert len(nonces) == 2


async def test_it_loads_its_own_files_only_and_all_exist(client: httpx.AsyncClient) -> None:
    files = files_of((await client.get("/")).text)
    assert len(files) >= 3
    for file in files:
        assert file.startswith("/assets/")
        answer = await client.get(file, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200
        assert answer.content == (BUILT / file.removeprefix("/")).read_bytes()
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        kind = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml"}[Path(file).suffix]
        assert kind in answer.headers["content-type"]


async def test_files_are_sent_as_the_build_compressed_them(client: httpx.AsyncClient) -> None:
    script = next(file for file in files_of((await client.get("/")).text) if "index" in file and file.endswith(".js"))
    plain = await client.get(script, headers={"Accept-Encoding": "identity"})
    packed = await client.get(script, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.content == plain.content
    again = await client.get(script, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["../index.html", "..%2findex.html", "%2e%2e/routes.py", "%2fetc%2fpasswd", "none.js", "", "%00"]
)
async def test_no_path_reaches_another_file(server: Any, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /assets/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode())
    answer = await reader.read()
    writer.close()
    assert answer.split()[1] in {b"400", b"404"}


async def test_the_page_knows_that_a_speech_server_serves_it(client: httpx.AsyncClient) -> None:
    [content] = re.findall(r'<meta name="voxfleet" content="([^"]*)"', (await client.get("/")).text)
    assert json.loads(html.unescape(content)) == {"servedBy": "server", "maxInputCharacters": 4096}


async def test_page_and_files_need_no_key(start_server: Any, tone_model: Any, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ada {hashlib.sha256(b'secret').hexdigest()}\n")
    async with (
        start_server(tone_model, api_keys_file=keys) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        page = await client.get("/")
        assert page.status_code == 200
        assert {(await client.get(file)).status_code for file in files_of(page.text)} == {200}
        assert (await client.get("/v1/models")).status_code == 401


async def test_a_checkout_without_the_built_page_says_how_to_build_it(tmp_path: Path) -> None:
    app = FastAPI()
    add_page(app, 4096, tmp_path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        answer = await client.get("/")
        assert answer.status_code == 500
        assert "run `make setup` in the checkout" in answer.json()["detail"]
        assert (await client.get("/assets/index.js")).status_code == 404
