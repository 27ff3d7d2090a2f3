"""The client's place as a real gateway finds it: by connection, headers, database; and what that decides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]
from structlog.testing import capture_logs

NETWORKS = {
    "127.0.0.0/8": {"country_code": "DE", "latitude": 50.1, "longitude": 8.7},
    "1.0.0.0/8": {"country_code": "AU", "latitude": -33.9, "longitude": 151.2},
    "2.0.0.0/8": {"country": {"iso_code": "FR"}},
}
GERMANY, AUSTRALIA, FRANCE = [50.1, 8.7], [-33.9, 151.2], [47.5, 2.5]
Decided = Callable[..., Any]


@pytest.fixture
def database(tmp_path: Path) -> str:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True)
    for network, record in NETWORKS.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(tmp_path / "places.mmdb"))
    return str(tmp_path / "places.mmdb")


@pytest.fixture
def decided(wire: Any) -> Decided:
    async def of(headers: bytes = b"", *, allowed: tuple[str, ...] = (), **settings: Any) -> tuple[int, Any, Any]:
        """Send a speech request; return the status, and the country and location that were decided on."""
        with capture_logs() as logs:
            async with wire.gateway(wire.speaking(), settings=settings, allowed_clients=allowed) as (port, _):
                answer, _ = await wire.send(port, wire.post(extra=headers))
        (line,) = (log for log in logs if log["event"] == "request")
        assert not any(text in str(logs) for text in ("127.0.0.1", "1.2.3.4", "2.3.4.5"))
        asked = line["route_request"]
        return int(answer[9:12]), asked.get("client_country"), asked.get("client")

    return of


async def test_the_databases_place_of_the_connection_counts(decided: Decided, database: str) -> None:
    status = await decided(trusted_proxies="", location_database=database)
    assert status == (200, "DE", GERMANY)


async def test_a_trusted_proxys_client_counts(decided: Decided, database: str) -> None:
    found = await decided(b"X-Forwarded-For: 2.3.4.5, 1.2.3.4\r\n", location_database=database)
    assert found == (200, "AU", AUSTRALIA)


async def test_a_country_without_a_place_has_its_center(decided: Decided, database: str) -> None:
    _, country, location = await decided(b"X-Forwarded-For: 2.3.4.5\r\n", location_database=database)
    assert country == "FR"
    assert location == pytest.approx(FRANCE, abs=1.5)


async def test_only_the_header_that_is_set_is_read(decided: Decided, database: str) -> None:
    both = b"X-Forwarded-For: 2.3.4.5\r\nForwarded: for=1.2.3.4\r\n"
    assert (await decided(both, location_database=database))[1] == "FR"
    assert (await decided(both, location_database=database, client_address_header="Forwarded"))[1] == "AU"


async def test_a_client_that_is_no_proxy_is_not_believed(decided: Decided, database: str) -> None:
    claims = b"X-Forwarded-For: 1.2.3.4\r\nVoxfleet-Client-Country: AU\r\nVoxfleet-Client-Location: 1,2\r\n"
    assert await decided(claims, trusted_proxies="", location_database=database) == (200, "DE", GERMANY)
    assert await decided(claims, trusted_proxies="") == (200, None, None)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"X-Forwarded-For: 1.2.3.4\r\n", 200),
        (b"X-Forwarded-For: 1.2.3.4, 2.3.4.5\r\n", 403),
        (b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 2.3.4.5\r\n", 403),
        (b"X-Forwarded-For: 2.3.4.5\r\nVoxfleet-Client-Country: AU\r\n", 403),
        (b"X-Forwarded-For: 1.2.3.4, unknown\r\n", 403),
        (b"X-Forwarded-For: 9.9.9.9\r\n", 403),
    ],
)
async def test_allowed_clients_are_decided_on_the_trusted_value_alone(
    decided: Decided, database: str, headers: bytes, status: int
) -> None:
    """Behind an ingress that appends X-Forwarded-For and passes other headers on as the client wrote them."""
    assert (await decided(headers, allowed=("AU",), location_database=database))[0] == status


async def test_without_a_database_a_trusted_proxys_headers_count(decided: Decided) -> None:
    given = b"Voxfleet-Client-Country: AU\r\nVoxfleet-Client-Location: -33.9,151.2\r\n"
    assert await decided(given) == (200, "AU", AUSTRALIA)
    assert (await decided(given + b"Voxfleet-Client-Country: DE\r\n"))[1] is None


async def test_a_clients_own_connection_is_measured_and_a_proxys_is_not(wire: Any, database: str) -> None:
    for trusted, levels in (("", {"prefix", "area", "country"}), ("127.0.0.0/8", set())):
        settings = {"trusted_proxies": trusted, "location_database": database}
        async with wire.gateway(wire.speaking(), settings=settings) as (port, gateway):
            await wire.send(port, wire.post())
            model = gateway.clients.rtt.store.model
            assert {level for level, groups in model.levels.items() if groups.cells} == levels
            if levels:
                (cells,) = model.levels["prefix"].cells.values()
                assert cells.keys() == {"eu"}


async def test_an_address_that_is_nowhere_is_not_measured(wire: Any) -> None:
    async with wire.gateway(wire.speaking(), settings={"trusted_proxies": ""}) as (port, gateway):
        await wire.send(port, wire.post())
        assert not gateway.clients.rtt.store.model.levels["prefix"].cells
