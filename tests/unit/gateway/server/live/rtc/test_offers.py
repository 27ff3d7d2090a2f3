"""WebRTC offers through the gateway: routed and held like speech requests, and deleted at their pods."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.server.live.rtc.offer_body import parse_offer

PATH = "/v1/audio/speech/rtc"
START = {"type": "session.start", "model": "m", "voice": "v"}
OFFER = {"type": "offer", "sdp": "v=0", "messages": [START, {"type": "text.append", "text": "Good morning."}]}


@asynccontextmanager
async def client(port: int, key: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session:
        yield session


async def test_an_offer_gets_its_pods_answer_and_a_decision(wire: Any, rtc_pod: Any) -> None:
    async with (
        rtc_pod(201) as (pod, pod_port),
        wire.gateway(pod_port, named={"aliases": ("tts-1",)}) as (port, gateway),
        client(port) as session,
    ):
        named = {**OFFER, "messages": [{**START, "model": "tts-1"}, OFFER["messages"][1]]}
        async with session.post(PATH, json=named) as answer:
            assert (answer.status, await answer.json()) == (201, {"sdp": "answer", "session_id": "s1"})
            assert answer.headers["Location"] == PATH + "/s1"
            assert answer.headers["Voxfleet-Region"] == "eu"
        (pod_state,) = gateway.fleet.regions[wire.key].pods.values()
        assert pod_state.open_requests == 0, "the session is in the pod's own report"
    assert pod.offers == [OFFER], "with the model's name that the pod serves"


async def test_a_session_is_deleted_at_its_pod_by_its_own_tenant(keyed: Any, rtc_pod: Any) -> None:
    async with rtc_pod(201) as (pod, pod_port), keyed(pod_port) as there:
        async with client(there.port, "all") as session, session.post(PATH, json=OFFER) as answer:
            assert answer.status == 201, await answer.text()
        for key, status in (("op", 404), ("all", 204)):
            async with client(there.port, key) as session, session.delete(PATH + "/s1") as ended:
                assert ended.status == status
    assert pod.deleted == ["s1"]


@pytest.mark.parametrize(
    ("status", "seen", "code"),
    [(404, 404, "session_not_found"), (500, 503, "upstream_failed"), (302, 503, "upstream_failed")],
)
async def test_what_a_pod_answers_to_a_delete_is_an_error_with_words(
    wire: Any, rtc_pod: Any, status: int, seen: int, code: str
) -> None:
    async with (
        rtc_pod(201) as (pod, pod_port),
        wire.gateway(pod_port) as (port, _),
        client(port) as session,
        session.post(PATH, json=OFFER),
    ):
        pod.delete_status = status
        async with session.delete(PATH + "/s1") as ended:
            assert (ended.status, (await ended.json())["error"]["code"]) == (seen, code)
        assert pod.deleted == ["s1"], "no redirect is followed"


async def test_a_page_gets_the_ice_servers_of_the_settings(wire: Any) -> None:
    servers = [{"urls": ["stun:stun.example.com"]}]
    settings = {"rtc_ice_servers": json.dumps(servers)}
    async with wire.gateway(settings=settings) as (port, _), client(port) as session, session.get(PATH) as answer:
        assert (await answer.json())["ice_servers"] == servers


async def test_a_full_pod_is_waited_for(wire: Any, rtc_pod: Any) -> None:
    async with (
        rtc_pod(503, 201) as (pod, pod_port),
        wire.gateway(pod_port, keep_reporting=True) as (port, _),
        client(port) as session,
        session.post(PATH, json=OFFER, headers={"Prefer": "wait=30"}) as answer,
    ):
        assert answer.status == 201
    assert len(pod.offers) == 2


async def test_a_fleet_that_sleeps_refuses_an_offer_that_may_not_wait(wire: Any) -> None:
    async with wire.gateway() as (port, gateway), client(port) as session:
        async with session.post(PATH, json=OFFER, headers={"Prefer": "wait=0"}) as answer:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        assert gateway.fleet.regions[wire.key].traffic.is_wake_requested


async def test_a_pod_without_webrtc_says_so_and_is_not_failing(wire: Any, rtc_pod: Any) -> None:
    async with rtc_pod(501) as (pod, pod_port), wire.gateway(pod_port) as (port, _), client(port) as session:
        for _ in range(5):
            async with session.post(PATH, json=OFFER) as answer:
                assert answer.status == 501
    assert len(pod.offers) == 5, "each is asked: no attempt counted as a failure"


@pytest.mark.parametrize(
    ("body", "media_type", "status", "said"),
    [
        ("v=0", "application/sdp", 415, "must be application/json, not 'application/sdp'"),
        ("{}", "application/json", 400, "'sdp' must be a string"),
        ('{"sdp": "v=0"}', "application/json", 400, "'messages' must be a list that begins with session.start"),
        ('{"sdp": "v=0", "messages": [1]}', "application/json", 400, "'messages' must be a list"),
        ('{"sdp": "v=0", "messages": [{"type": "text.flush"}]}', "application/json", 400, "session.start"),
        ('{"sdp": "v=0", "messages": [{"type": "session.start"}]}', "application/json", 400, "'model' is missing"),
    ],
)
def test_what_is_wrong_with_an_offer_is_named(body: str, media_type: str, status: int, said: str) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        parse_offer(body.encode(), media_type)
    assert refused.value.refusal.status == status
    assert said in refused.value.refusal.message


def test_an_offer_keeps_all_that_is_not_read_here() -> None:
    fields = {**OFFER, "extra": 1, "messages": [{**START, "seed": 3}, {"type": "session.end"}]}
    offer = parse_offer(json.dumps(fields).encode(), "application/json; charset=utf-8")
    assert json.loads(offer.named("served", "id-1").data) == {
        **fields,
        "messages": [{**START, "seed": 3, "model": "served", "voice": "id-1"}, {"type": "session.end"}],
    }
