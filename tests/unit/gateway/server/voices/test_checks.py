"""A recording that cannot be used is refused in the server's words: at its upload, or at the first wake after it."""

import asyncio
import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from voxfleet_gateway.decisions.accounts.api_keys import KeyRing, hash_of
from voxfleet_gateway.errors import VoicesNotServedError
from voxfleet_gateway.voices.file_format import parse

VOICES = "/v1/audio/voices"
SILENT = "silent: its level is -120 dB of full scale, and speech needs -60; record it nearer to the microphone"


async def test_a_usable_recording_is_ready(nodes: Any, pod: Any, recording: Any) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        status, made = await node.make(recording())
        assert (status, made["status"]) == (200, "ready")
        assert node.repository.index.headers["", made["id"]].patches == 2
        assert not node.repository.index.unchecked


@pytest.mark.parametrize(
    ("level", "seconds", "reason"),
    [(0.0, 1.5, SILENT), (50.0, 1.5, "clipped: "), (0.3, 0.5, "0.50 s long; "), (0.3, 31.5, "longer than 30 s; ")],
)
async def test_an_unusable_one_is_refused_in_the_servers_words(
    nodes: Any, pod: Any, recording: Any, level: float, seconds: float, reason: str
) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        status, error = await node.make(recording(level, seconds))
        assert (status, error["error"]["param"], error["error"]["code"]) == (400, "audio_sample", "invalid")
        assert error["error"]["message"].startswith(f"'audio_sample' cannot be used: {reason}")
        assert not node.repository.index.headers
        assert not [*node.repository.folder._folder.iterdir()]


async def test_what_no_audio_can_be_decoded_from_is_refused(nodes: Any, pod: Any) -> None:
    async with nodes() as (node,):
        node.set_pods(pod.port)
        status, error = await node.make(b"sound")
        assert (status, "5 bytes that are no audio file" in error["error"]["message"]) == (400, True)


async def test_while_all_sleep_it_is_pending_and_settled_everywhere_when_a_pod_wakes(
    nodes: Any, pod: Any, recording: Any, following: Any, checking: Any, until: Any
) -> None:
    async with nodes(2) as (one, two), following(one, two), checking(one, two):
        made = [(await one.make(each, "a"))[1] for each in (recording(), recording(level=0.0))]
        assert [each["status"] for each in made] == ["pending", "pending"]
        await until(lambda: len(two.repository.index.unchecked) == 2)
        assert not any(region.traffic.is_wake_requested for region in one.gateway.fleet.regions.values())
        two.set_pods(pod.port)
        await until(lambda: not one.repository.index.unchecked and not two.repository.index.unchecked)
        usable, silent = [(await one.send("GET", f"{VOICES}/{each['id']}", "a"))[1] for each in made]
        assert (usable["status"], "reason" in usable) == ("ready", False)
        assert (silent["status"], silent["reason"]) == ("unusable", SILENT)
        for node in (one, two):
            body = {"model": "m", "input": "hi", "voice": silent["id"]}
            status, error = await node.send("POST", "/v1/audio/speech", "a", json=body)
            assert (status, error["error"]["param"]) == (400, "voice")
            assert error["error"]["message"] == f"'voice' cannot be used: {SILENT}"
        assert one.repository.index.digest() == two.repository.index.digest()
        assert await one.repository.read("a", usable["id"]) == await two.repository.read("a", usable["id"])


async def test_a_change_made_meanwhile_is_kept_and_checked_again(
    nodes: Any, pod: Any, recording: Any, checking: Any, until: Any
) -> None:
    async with nodes() as (node,):
        _, made = await node.make(recording(), "a")
        header = node.repository.index.headers["a", made["id"]]
        node.set_pods()
        await node.make(recording(), "a", name="Eve")
        await node.repository.settle(header, await _checked(node, pod, header))  # of the version before
        assert node.repository.index.headers["a", made["id"]].is_unchecked
        node.set_pods(pod.port)
        async with checking(node):
            await until(lambda: not node.repository.index.unchecked)
        assert (await node.send("GET", f"{VOICES}/{made['id']}", "a"))[1]["name"] == "Eve"


async def _checked(node: Any, pod: Any, header: Any) -> Any:
    node.set_pods(pod.port)
    voice = await node.repository.read_own(header.key)
    result = await node.gateway.voices.checker.check(parse(voice, header.key), lambda _: True)
    node.set_pods()
    return result


async def test_pods_that_check_nothing_leave_it_pending_and_are_asked_ever_more_rarely(
    nodes: Any, recording: Any, checking: Any
) -> None:
    async with nodes() as (node,):
        node.set_pods(1)  # ready as Kubernetes has it, and refusing connections
        assert (await node.make(recording()))[1]["status"] == "pending"
        checker, now, asked_at = node.gateway.voices.checker, 0.0, []

        class Pods:
            async def check(self, *_: Any) -> Any:
                asked_at.append(now)
                raise VoicesNotServedError("status 405")

        checker.pods, checker.clock = Pods(), lambda: now
        async with checking(node):
            for _ in range(40):
                now += 1.0
                await asyncio.sleep(0.03)
        gaps = [later - earlier for earlier, later in pairwise(asked_at)]
        assert len(gaps) >= 2
        assert all(later >= 1.5 * earlier for earlier, later in pairwise(gaps))


def key_of(tenant: str, model: str, **fields: Any) -> str:
    row = {"hash": hash_of(f"{tenant} {model}"), "tenant": tenant, "models": [model]}
    return json.dumps(row | {"created_at": datetime.now(UTC).isoformat()} | fields)


async def test_a_recording_is_sent_to_pods_of_its_tenants_models_only(
    nodes: Any, pod: Any, recording: Any, checking: Any, until: Any
) -> None:
    async with nodes() as (node,):
        made = {tenant: (await node.make(recording(), tenant))[1] for tenant in ("may", "other", "expired", "")}
        entries = {
            "1.json": key_of("may", "d/n"),
            "2.json": key_of("other", "d/x"),
            "3.json": key_of("expired", "*", expires_at="2020-01-01T00:00:00Z"),
        }
        node.gateway.speech.accounts.store.ring = KeyRing.of(entries)
        node.set_pods(pod.port)
        async with checking(node):
            await until(lambda: len(node.repository.index.unchecked) == 2)
            await asyncio.sleep(0.1)
        assert {tenant for tenant, _ in node.repository.index.unchecked} == {"other", "expired"}
        assert len({each["id"] for each in made.values()}) == 1
