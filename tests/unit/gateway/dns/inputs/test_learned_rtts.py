"""Learned round trips are fetched from gateways, bounded, and change what is near."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from voxfleet_gateway.decisions.dns.region_choice import ModelPlan, PlannedRegion, rtts_by_distance
from voxfleet_gateway.decisions.location.address_facts import AddressFacts
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.decisions.rtt.exchange import export
from voxfleet_gateway.decisions.rtt.rtt_model import RttModel
from voxfleet_gateway.dns.inputs.learned_rtts import MAX_BYTES, RTT_PATH, RttFetch, RttView
from voxfleet_gateway.regions import Location
from voxfleet_gateway.tokens import BEARER, gateway_token

ASIA, EUROPE = PlannedRegion("asia", Location(31.2, 121.5)), PlannedRegion("europe", Location(50.1, 8.7))
SHANGHAI = AddressFacts("", "CN", 64496, 31.2, 121.5)
KEY = "key"
Serve = Callable[[Callable[[web.Request], Awaitable[web.Response]]], Awaitable[str]]


def learned() -> RttModel:
    """A network in Shanghai from which Europe is nearer than Asia."""
    model = RttModel()
    for number in range(40):
        network = ClientNetwork(f"20.0.{number}.0/24", 64496, "CN", Location(31.2, 121.5))
        for region, seconds, prior in (("asia", 0.3, 0.03), ("europe", 0.1, 0.18)):
            model.record(network, region, seconds, prior_seconds=prior, now_seconds=float(number))
    return model


def test_what_was_learned_decides_instead_of_distance() -> None:
    regions = (ASIA, EUROPE)
    assert ModelPlan(regions).choose(SHANGHAI, b"1").region == "asia"
    plan = ModelPlan(regions, rtts=RttView(learned(), 40.0))
    assert plan.choose(SHANGHAI, b"1").region == "europe"
    assert plan.choose(AddressFacts("", "CN"), b"1").region == "europe"  # the country is enough
    assert plan.choose(AddressFacts(""), b"1").basis == "default"


def test_without_samples_distance_decides() -> None:
    found = RttView(RttModel(), 0.0)(SHANGHAI, (ASIA, EUROPE))
    assert found == pytest.approx(rtts_by_distance(SHANGHAI, (ASIA, EUROPE)))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve one handler on a free port; returns host:port."""
    runners: list[web.AppRunner] = []

    async def start(handler: Callable[[web.Request], Awaitable[web.Response]]) -> str:
        app = web.Application()
        app.router.add_get(RTT_PATH, handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def fetch(peers: tuple[str, ...], times: int = 1) -> list[RttView]:
    views: list[RttView] = []
    async with aiohttp.ClientSession() as session:
        fetching = RttFetch(session, peers, KEY, lambda: {"asia", "europe"}, views.append, lambda: 41.0)
        for _ in range(times):
            await fetching.fetch_all()
    return views


async def test_figures_are_fetched_with_the_token_and_used_once(serve: Serve) -> None:
    asked: list[tuple[str | None, str]] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((request.headers.get("Authorization"), request.query_string))
        return web.json_response(export(learned(), 40.0))

    views = await fetch((await serve(handler), "none.invalid:9091"), times=2)
    assert len(views) == 1
    assert ModelPlan((ASIA, EUROPE), rtts=views[0]).choose(SHANGHAI, b"1").region == "europe"
    assert asked == [(BEARER + gateway_token(KEY), ""), (BEARER + gateway_token(KEY), "newer_than_seconds=120")]


@pytest.mark.parametrize("body", ["no json", "{}", '{"cells": [{"level": "prefix"}]}', "x" * (MAX_BYTES + 1)])
async def test_what_cannot_be_used_changes_nothing(serve: Serve, body: str) -> None:
    async def handler(_request: web.Request) -> Any:
        return web.Response(text=body)

    assert await fetch((await serve(handler),)) == []


async def test_a_refused_token_changes_nothing(serve: Serve) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=401)

    assert await fetch((await serve(handler),)) == []
