"""GET /internal/explain: the decision about a client in words, without any effect."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.location.client_place import ClientPlace
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.gateway import Gateway
from voxfleet_gateway.regions import Location
from voxfleet_gateway.replay import replay
from voxfleet_gateway.server.internal.explain import Explain
from voxfleet_gateway.tokens import gateway_token


class Places:
    """A database that knows one place."""

    paths = ("places.mmdb",)

    def lookup(self, _address: Any) -> AddressFacts:
        return AddressFacts("1.0.0.0/16", country="CN", asn=64496, latitude=31.2, longitude=121.5)


Ask = Callable[..., Any]
HEADERS = {"Authorization": f"Bearer {gateway_token('x')}"}


@asynccontextmanager
async def opened(wire: Any, *pods: Any, **region: Any) -> AsyncIterator[tuple[Gateway, Ask]]:
    listener = wire.free_port()
    async with (
        wire.gateway(*pods, settings={"internal_port": listener}, **region) as (_, gateway),
        aiohttp.ClientSession(f"http://127.0.0.1:{listener}") as session,
    ):

        async def ask(headers: dict[str, str] = HEADERS, **query: str) -> tuple[int, Any]:
            async with session.get("/internal/explain", params=query, headers=headers) as response:
                return response.status, await response.json()

        yield gateway, ask


async def test_an_awake_region_is_explained(wire: Any) -> None:
    async with opened(wire, wire.speaking(), latitude=50.11, longitude=8.68) as (_, ask):
        status, body = await ask(client="203.0.113.9", model="m", location="52.5,13.4", country="DE")
    assert status == 200
    assert (body["model"], body["client"], body["action"], body["region"]) == ("d/n", "203.0.113.9", "serve", "eu")
    words = body["words"]
    assert words["summary"] == "eu is the nearest region that may serve this client, and it can serve now."
    assert words["client"].startswith("The client is at 52.50, 13.40; its country is DE.")
    (region,) = words["regions"]
    assert region["state"].startswith("awake: 1 server, 0 of 64 rows in use")
    assert region["score_seconds"] == pytest.approx(region["rtt_seconds"] + sum(region["waits"].values()))


async def test_an_address_is_located_by_databases_and_by_what_was_learned(wire: Any) -> None:
    async with opened(wire, wire.speaking(), latitude=50.11, longitude=8.68) as (gateway, ask):
        locator = gateway.clients.locator
        locator.database = cast("Any", Places())
        _, before = await ask(client="1.0.0.7", model="m")
        assert locator.rtt.reported(locator.place_of("1.0.0.9"), {"eu": 0.9})
        _, after = await ask(client="1.0.0.7", model="m")
    assert before["words"]["client"].startswith(
        "The client is at 31.20, 121.50; its country is CN. Round trips are estimated"
    )
    assert after["words"]["client"].endswith("Round trips are measured.")
    (old,), (new,) = (body["record"]["route_request"]["rtt_seconds"] for body in (before, after))
    assert new > 2 * old


async def test_the_record_replays(wire: Any) -> None:
    async with opened(wire, wire.speaking()) as (_, ask):
        _, body = await ask(client="2001:db8::1", model="d/n")
    (result,) = replay([json.dumps(body["record"])])
    assert result.is_same


async def test_a_sleeping_region_stays_asleep(wire: Any) -> None:
    async with opened(wire) as (gateway, ask):
        renewed: list[Any] = []
        gateway.dispatcher.on_demand = renewed.append
        _, body = await ask(client="203.0.113.9", model="m")
        assert (body["action"], body["wake"]) == ("hold", ["eu"])
        assert body["words"]["wakes"] == "A request wakes eu."
        traffic = gateway.fleet.regions[wire.key].traffic
        assert renewed == []
        assert not traffic.is_wake_requested
        assert traffic.arrivals.last_seconds is None
        assert gateway.hold_queues.queues == {}


async def test_an_address_is_located_by_what_the_gateway_knows(wire: Any) -> None:
    async with opened(wire, wire.speaking()) as (gateway, _):
        place = ClientPlace(ClientNetwork(country="SG", location=Location(1.0, 2.0)))
        explain = Explain(gateway.settings, gateway.dispatcher, lambda _: place)
        body = explain._body({"client": "203.0.113.9", "model": "m"})
        assert body["record"]["route_request"]["client"] == [1.0, 2.0]
        given = explain._body({"client": "203.0.113.9", "model": "m", "country": "DE", "location": "3,4"})
    assert given["record"]["route_request"]["client"] == [3.0, 4.0]
    assert given["record"]["route_request"]["client_country"] == "DE"


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"model": "m"}, 400, "'client' must be an IPv4 or IPv6 address, such as 203.0.113.9, not ''."),
        ({"client": "here", "model": "m"}, 400, "not 'here'"),
        ({"client": "::1"}, 400, "'model' must be the name of a model"),
        ({"client": "::1", "model": "absent"}, 404, "known models: d/n, m"),
        ({"client": "::1", "model": "m", "location": "91,0"}, 400, "'location' must be latitude,longitude"),
        ({"client": "::1", "model": "m", "country": "de"}, 400, "'country' must be two capital letters"),
    ],
)
async def test_a_query_that_cannot_be_answered(wire: Any, query: dict[str, str], status: int, message: str) -> None:
    async with opened(wire) as (_, ask):
        answered, body = await ask(**query)
    assert answered == status
    assert message in body["error"]["message"]


async def test_the_token_is_required_and_models_must_be_known(wire: Any) -> None:
    async with opened(wire) as (gateway, ask):
        assert (await ask({}, client="::1", model="m"))[0] == 401
        gateway.dispatcher.is_synced = lambda: False
        assert (await ask(client="::1", model="m"))[0] == 503
