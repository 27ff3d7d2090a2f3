"""The page: where it may connect to, and what it names."""

from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from voxfleet_gateway.server.page import origins

GET = b"GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("kind", "footer"),
    [
        ("DBIP-City-Lite", b'<footer><small><a href="https://db-ip.com">IP Geolocation by DB-IP</a></small></footer>'),
        ("Own", b"<footer></footer>"),
    ],
)
async def test_the_page_names_the_databases_that_ask_for_it(
    wire: Any, tmp_path: Path, kind: str, footer: bytes
) -> None:
    writer = MMDBWriter(ip_version=4, database_type=kind)
    writer.insert_network(IPSet(["1.0.0.0/8"]), {"country_code": "AU"})
    writer.to_db_file(str(tmp_path / "city.mmdb"))
    async with wire.gateway(settings={"location_database": str(tmp_path)}) as (port, _):
        page, _ = await wire.send(port, GET)
    assert footer in page
    assert b"connect-src 'self'; " in page


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
