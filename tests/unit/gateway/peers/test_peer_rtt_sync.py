"""Gateways of two regions over mutual TLS: each learns the other's round trips; what lies or floods changes nothing."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from voxfleet_gateway.decisions.location.client_place import ClientPlace
from voxfleet_gateway.decisions.rtt.client_network import ClientNetwork
from voxfleet_gateway.location import peer_rtt_sync
from voxfleet_gateway.location.peer_rtt_sync import NEWEST_ROWS, RttAnswers
from voxfleet_gateway.location.rtt_store import RttStore
from voxfleet_gateway.location.rtt_sync import RTT_PATH

CLIENT = ClientPlace(ClientNetwork("8.8.8.0/24"))
FAR_SECONDS = 0.9
NONSENSE: dict[str, Callable[[], web.Response]] = {
    "an error": lambda: web.Response(status=403),
    "no JSON": lambda: web.Response(body=b"["),
    "another form": lambda: web.json_response({"cells": [{"level": "planet"}]}),
    "too much": lambda: web.Response(body=b" " * (peer_rtt_sync.MAX_BYTES + 1)),
    "elsewhere": lambda: web.Response(status=302, headers={"Location": "https://127.0.0.1:1/"}),
}


def source(region: Any, of: str, client: ClientPlace = CLIENT) -> tuple[float, str]:
    """What a gateway takes for the round trip to a region, and where that is from."""
    (seconds,), found = region.gateway.clients.rtt.store.round_trips(client, ((of, None),), region.name)
    return seconds, found


async def test_what_one_region_measures_the_other_knows(regions: Any) -> None:
    eu, us = await regions.pair([], [])
    assert eu.gateway.clients.rtt.store.reported(CLIENT, {"us": 0.001, "eu": 0.02})
    assert us.gateway.clients.rtt.store.reported(CLIENT, {"us": FAR_SECONDS})
    before, own = source(us, "eu"), source(us, "us")
    for _ in range(2):
        await us.gateway.clients.peer_sync.fetch_all()
    assert before[1] == "assumed"
    (seconds, found), (expected_seconds, _) = source(us, "eu"), source(eu, "eu")
    assert found == "measured"
    assert before[0] > 2 * seconds, "drawn to what eu has measured"
    assert seconds == pytest.approx(expected_seconds, rel=0.5), "drawn a little to where each assumes the client"
    # What eu's clients say about us is not taken by us.
    assert source(us, "us") == own
    rows = us.gateway.clients.rtt.store.export_to_peers(1e9, 10)["cells"]
    assert {row["region"] for row in rows} == {"us"}
    assert {peer.region for peer in us.gateway.clients.peer_sync.seen} == {"eu"}


async def test_a_peer_that_was_silent_is_asked_for_everything_when_it_is_back(fake_peer: Any, regions: Any) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return web.json_response({"cells": []})

    asked: list[str] = []
    eu, peer = await fake_peer()
    peer.answer_rtt, reports, sync = answer, eu.gateway.peering.regions.reports, eu.gateway.clients.peer_sync
    await regions.until(lambda: reports)
    await eu.gateway.peering.poller.stop()
    ((of, report),) = reports.items()
    for age_seconds in (0.0, 60.0, 0.0, 0.0):
        reports[of] = report._replace(asked_seconds=time.monotonic() - age_seconds)
        await sync.fetch_all()
    assert asked == [RTT_PATH, RTT_PATH, f"{RTT_PATH}?newer_than_seconds=15"]


@pytest.mark.parametrize("case", NONSENSE)
async def test_a_peer_that_answers_nonsense_changes_nothing(fake_peer: Any, regions: Any, case: str) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return NONSENSE[case]()

    eu, peer = await fake_peer()
    peer.answer_rtt = answer
    await regions.until(lambda: eu.gateway.peering.regions.reports)
    await eu.gateway.clients.peer_sync.fetch_all()
    assert eu.gateway.clients.peer_sync.seen == set()
    assert not eu.gateway.clients.rtt.store.model.levels["prefix"].cells


async def test_a_peer_that_claims_another_region_is_not_believed(fake_peer: Any, regions: Any) -> None:
    row = {"level": "prefix", "key": ["8.8.8.0/24"], "mean": -3.0, "weight": 30.0, "age_seconds": 0.0}

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return web.json_response({"cells": [row | {"region": name} for name in ("eu", "us", "ap")]})

    asked: list[str] = []
    eu, peer = await fake_peer()
    peer.answer_rtt = answer
    await regions.until(lambda: eu.gateway.peering.regions.reports)
    for _ in range(2):
        await eu.gateway.clients.peer_sync.fetch_all()
    (cells,) = eu.gateway.clients.rtt.store.model.levels["prefix"].cells.values()
    assert cells.keys() == {"us"}
    assert asked == [RTT_PATH, f"{RTT_PATH}?newer_than_seconds=15"]


def test_an_answer_is_kept_for_a_moment_and_bounded() -> None:
    store, now = RttStore("eu", lambda: {"eu": None}), [0.0]
    answers = RttAnswers(store, lambda: now[0])
    for index in range(NEWEST_ROWS + 5):
        place = ClientPlace(ClientNetwork(f"10.{index // 256}.{index % 256}.0/24"))
        store._record(place, "eu", 0.02, "report")
    first = answers.body(is_newest=True)
    assert len(json.loads(first)["cells"]) == NEWEST_ROWS
    assert len(json.loads(answers.body(is_newest=False))["cells"]) == NEWEST_ROWS + 5
    store.model.levels["prefix"].cells.clear()
    assert answers.body(is_newest=True) is first
    now[0] = peer_rtt_sync.KEPT_SECONDS
    assert json.loads(answers.body(is_newest=True)) == {"cells": []}
