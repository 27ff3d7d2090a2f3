"""A WebRTC offer that another region serves: the answer comes back; a DELETE and a tenant's account go the same way."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.decisions.accounts.api_keys import hash_of
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint

FULL = {"report": {"free_rows": 0, "running_sequences": 64, "waiting_sequences": 500}}
PATH = "/v1/audio/speech/rtc"
OFFER = {"type": "offer", "sdp": "v=0", "messages": [{"type": "session.start", "model": "m", "input": "Good morning."}]}


async def test_an_offer_and_its_delete_reach_the_pod_of_a_peer(regions: Any, wire: Any, rtc_pod: Any) -> None:
    pod, pod_port = await regions.stack.enter_async_context(rtc_pod(201))
    eu, us = await regions.pair([wire.speaking()], [], eu=FULL)
    us.gateway.fleet.pods_behind = lambda _: (PodEndpoint(PodAddress("127.0.0.1", pod_port, 9), is_ready=True),)
    us.gateway.fleet.refresh()
    await regions.until(lambda: eu.state("us").report.ready_pods)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{eu.port}") as session:
        async with session.post(PATH, json=OFFER) as answer:
            assert (answer.status, answer.headers["Location"]) == (201, PATH + "/s1")
            assert answer.headers["Voxfleet-Region"] == "us"
        async with session.delete(PATH + "/s1") as ended:
            assert ended.status == 204
    assert pod.offers == [OFFER]
    assert pod.deleted == ["s1"]


KEY = "a-key"
AUDIO_LIMIT = {"audioSecondsPerMinute": 3}  # 40 characters of text; the offer has 13


class Spilling:
    """Two regions, the first one full, with the keys and limits of its tenant and a pod of the second one."""

    def __init__(self, regions: Any, keys: Path, pod: Any, eu: Any, us: Any) -> None:
        self.regions, self.keys, self.pod, self.eu, self.us = regions, keys, pod, eu, us
        self.lines: list[dict[str, Any]] = []

    async def offer(self) -> tuple[int, str | None]:
        """Offer once more; return status and error code."""
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{self.eu.port}", headers=headers) as session,
            session.post(PATH, json=OFFER) as answer,
        ):
            return answer.status, ((await answer.json()).get("error") or {}).get("code")

    async def until(self, condition: Any) -> None:
        await self.regions.until(condition)


@pytest.fixture
def spilling(regions: Any, wire: Any, rtc_pod: Any, tmp_path: Path) -> Any:
    @contextlib.asynccontextmanager
    async def open_pair(limits: dict[str, Any], *statuses: int, has_accounts: bool = True) -> AsyncIterator[Spilling]:
        keys, tenants = tmp_path / "keys", tmp_path / "tenants.json"
        keys.mkdir()
        entry = {"hash": hash_of(KEY), "tenant": "acme", "models": ["*"], "created_at": "2026-11-30T00:00:00Z"}
        (keys / "k-1.json").write_text(json.dumps(entry))
        tenants.write_text(json.dumps([{"name": "acme"} | limits]))
        given = {"keys_folder": str(keys), "tenants_file": str(tenants), "replicas": 1}
        pod, pod_port = await regions.stack.enter_async_context(rtc_pod(*statuses or (201,), has_accounts=has_accounts))
        eu, us = await regions.pair([wire.speaking()], [], eu=FULL | given)
        us.gateway.fleet.pods_behind = lambda _: (PodEndpoint(PodAddress("127.0.0.1", pod_port, 9), is_ready=True),)
        us.gateway.fleet.refresh()
        await regions.until(lambda: eu.state("us").report.ready_pods)
        made = Spilling(regions, keys, pod, eu, us)
        eu.gateway.speech.accounts.usage.write_line = lambda line: made.lines.append(json.loads(line))
        yield made

    return open_pair


async def test_text_of_a_session_in_another_region_is_charged_refused_and_settled(spilling: Any) -> None:
    async with spilling(AUDIO_LIMIT | {"concurrentRequests": 1}) as there:
        assert await there.offer() == (201, None)
        assert there.pod.headers[0]["Voxfleet-Rtc-Account"] == "a1"
        assert there.pod.headers[0]["Voxfleet-Tenant"] == "acme"
        assert await there.offer() == (429, "rate_limit_exceeded"), "one is open"
        assert await there.pod.says(type="text", text="x" * 20) == {"type": "admitted"}
        refused = await there.pod.says(type="text", text="x" * 20)
        assert (refused["type"], refused["error"]["code"]) == ("refused", "rate_limit_exceeded")
        await there.pod.accounts[-1].send_json({"type": "done", "spoken_seconds": 0.5})
        await there.until(lambda: there.pod.ended == 1)
        await there.until(lambda: any(each["status"] == 201 for each in there.lines))
        used = next(each for each in there.lines if each["status"] == 201)
        assert (used["audio_seconds"], used["audio_seconds_source"], used["characters"]) == (0.5, "server", 13 + 20)
        assert used["region"] == "us"
        assert not there.us.gateway.live.sessions
        assert await there.offer() == (201, None), "settled by what was spoken"


async def test_a_revoked_key_ends_its_session_in_another_region(spilling: Any) -> None:
    async with spilling({}) as there:
        assert await there.offer() == (201, None)
        (there.keys / "k-1.json").unlink()
        there.eu.gateway.speech.accounts.store.reload()
        watching = asyncio.create_task(there.eu.gateway.live.run())
        await there.until(lambda: there.pod.answers)
        assert (there.pod.answers[0]["type"], there.pod.answers[0]["error"]["code"]) == ("end", "invalid_api_key")
        await there.pod.accounts[0].send_json({"type": "done", "spoken_seconds": 0.25})
        await there.until(lambda: there.lines)
        watching.cancel()
        assert (there.lines[0]["status"], there.lines[0]["audio_seconds"]) == (401, 0.25)


async def test_the_other_gateway_passes_its_end_on_and_what_was_spoken(spilling: Any) -> None:
    async with spilling(AUDIO_LIMIT) as there:
        assert await there.offer() == (201, None)
        await there.until(lambda: there.us.gateway.live.sessions)
        stopping = asyncio.create_task(there.us.gateway.live.stop(None))
        await there.until(lambda: there.pod.answers)
        assert there.pod.answers[0]["error"]["code"] == "gateway_draining"
        await there.pod.accounts[0].send_json({"type": "done", "spoken_seconds": 0.25})
        await there.until(lambda: there.lines)
        await stopping
        assert (there.lines[0]["audio_seconds"], there.lines[0]["audio_seconds_source"]) == (0.25, "server")


async def test_a_gateway_that_is_gone_ends_the_account_at_the_pod(spilling: Any) -> None:
    async with spilling({}) as there:
        assert await there.offer() == (201, None)
        (session,) = there.eu.gateway.live.sessions
        await session.socket.close()
        await there.until(lambda: there.pod.ended == 1)


@pytest.mark.parametrize("status", [501, 400])
async def test_what_a_pod_answers_comes_back_and_leaves_no_account_open(spilling: Any, status: int) -> None:
    async with spilling(AUDIO_LIMIT, status) as there:
        assert await there.offer() == (status, "c")
        await there.until(lambda: there.pod.ended == len(there.pod.accounts) == 1)
        assert not there.eu.gateway.live.sessions


async def test_a_pod_without_accounts_in_another_region_gets_no_offer_of_a_tenant(spilling: Any) -> None:
    async with spilling(AUDIO_LIMIT, has_accounts=False) as there:
        assert await there.offer() == (501, "rtc_not_metered")
        assert there.pod.offers == []


@pytest.mark.parametrize(("limits", "answered"), [(AUDIO_LIMIT, (501, "rtc_not_metered")), ({}, (201, None))])
async def test_a_gateway_of_an_earlier_version_gets_no_offer_of_a_tenant_with_limits(
    spilling: Any, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], answered: tuple[int, str | None]
) -> None:
    monkeypatch.setattr("voxfleet_gateway.server.peers.ACCOUNT_PATH", "/elsewhere")
    async with spilling(limits) as there:
        assert await there.offer() == answered
        assert len(there.pod.offers) == (answered[0] == 201)
        if answered[0] == 201:
            await there.until(lambda: there.lines)
            assert there.lines[0]["audio_seconds_source"] == "estimate"
