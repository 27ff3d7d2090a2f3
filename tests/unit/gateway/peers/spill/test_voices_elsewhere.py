"""Voices of gateways in two regions, over loopback with real certificates: equal, and whole when one region is lost."""

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from voxfleet_gateway.decisions.pods.pod_state import PodAddress, PodEndpoint
from voxfleet_gateway.regions import ObjectRef, RegionEntry
from voxfleet_gateway.server.voices.designer import SAMPLE_TEXT
from voxfleet_gateway.voices.file_format import StoredVoice, VoiceHeader, serialize, voice_id

FORM = {"name": "Ada", "transcript": "What I said.", "consent": "in writing"}
VOICES = "/v1/audio/voices"


def stored(folder: Path, **settings: Any) -> dict[str, Any]:
    return {"voices_dir": str(folder), "voice_sync_seconds": 600} | settings


async def send(region: Any, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{region.port}{path}", **options) as response,
    ):
        return response.status, await response.json() if "json" in response.content_type else await response.read()


async def make(region: Any, recording: bytes = b"sound", **fields: str) -> str:
    form = aiohttp.FormData(FORM | fields)
    form.add_field("audio_sample", recording, filename="ada.wav")
    status, made = await send(region, "POST", VOICES, data=form)
    assert status == 200
    return str(made["id"])


def index(region: Any) -> Any:
    return region.gateway.voices.repository.index


@contextlib.asynccontextmanager
async def following(*regions: Any) -> AsyncIterator[None]:
    tasks = [
        asyncio.create_task(each.gateway.internal_voices.peers.follow(each.gateway.voices.repository))
        for each in regions
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_voice_is_the_same_in_both_regions_and_a_deletion_stays_one(
    regions: Any, wire: Any, tmp_path: Path
) -> None:
    eu, us = await regions.pair(
        [wire.speaking()], [wire.speaking()], eu=stored(tmp_path / "1"), us=stored(tmp_path / "2")
    )
    async with following(eu, us):
        kept, gone = [await make(eu, each) for each in (b"1", b"2")]
        await regions.until(lambda: index(us).find("", kept) and index(us).find("", gone))
        assert await us.gateway.voices.repository.read_own(("", kept)) == (
            await eu.gateway.voices.repository.read_own(("", kept))
        )
        body = {"model": "m", "input": "hi", "voice": kept}
        assert (await send(us, "POST", "/v1/audio/speech", json=body))[0] == 200
        assert (await send(us, "DELETE", f"{VOICES}/{gone}"))[0] == 200
        await regions.until(lambda: not index(eu).find("", gone))
        assert (await send(eu, "GET", f"{VOICES}/{gone}"))[0] == 404
        assert await make(us, b"2", name="again") == gone
        await regions.until(lambda: index(eu).digest() == index(us).digest())
        assert index(eu).find("", gone).name == "again"


async def test_a_voice_just_made_is_fetched_for_a_request_in_the_other_region(
    regions: Any, wire: Any, tmp_path: Path
) -> None:
    eu, us = await regions.pair([], [wire.speaking()], eu=stored(tmp_path / "1"), us=stored(tmp_path / "2"))
    voice = await make(eu)  # no lists are compared here
    body = {"model": "m", "input": "hi", "voice": voice}
    assert (await send(us, "POST", "/v1/audio/speech", json=body))[0] == 200
    assert (await send(us, "POST", "/v1/audio/speech", json=body | {"voice": f"voice_{'0' * 32}"}))[0] == 400


async def test_a_region_may_be_lost_and_comes_back_with_an_empty_folder(
    regions: Any, wire: Any, tmp_path: Path
) -> None:
    port = free_port()
    async with contextlib.AsyncExitStack() as lost:
        whole, regions.stack = regions.stack, lost
        eu, _ = await regions.open("eu", **stored(tmp_path / "1", peer_port=port))
        regions.stack = whole
        us, ports = await regions.open("us", wire.speaking(), **stored(tmp_path / "2"))
        link(eu, us, ports)
        await regions.until(lambda: sources(eu) and sources(us))
        async with following(eu, us):
            kept, gone = [await make(eu, each) for each in (b"1", b"2")]
            await regions.until(lambda: index(us).find("", kept) and index(us).find("", gone))
    await send(us, "DELETE", f"{VOICES}/{gone}")
    await regions.until(lambda: not sources(us))  # what does not report is not asked: requests would wait for it
    body = {"model": "m", "input": "hi", "voice": kept}
    us.record_reports()
    assert (await send(us, "POST", "/v1/audio/speech", json=body))[0] == 200
    assert (await send(us, "GET", f"{VOICES}/voice_{'0' * 32}"))[0] == 404
    eu, _ = await regions.open("eu", **stored(tmp_path / "3", peer_port=port))
    link(eu, us, ports)
    await regions.until(lambda: sources(eu) and sources(us))
    async with following(eu, us):
        await regions.until(lambda: index(eu).digest() == index(us).digest())
        assert index(eu).find("", kept)
        assert (await send(eu, "GET", f"{VOICES}/{gone}"))[0] == 404


async def test_a_change_goes_on_to_gateways_that_the_other_region_does_not_name(regions: Any, tmp_path: Path) -> None:
    """As behind a load balancer: the region's address stands for one of its gateways, and the change is another's."""
    inner = [free_port(), free_port()]
    peers = {"voice_peers": ",".join(f"127.0.0.1:{port}" for port in inner), "internal_key": "eu"}
    eu, us = await regions.pair(
        [], [], eu=stored(tmp_path / "1", internal_port=inner[0], **peers), us=stored(tmp_path / "2")
    )
    hidden, _ = await regions.open("eu", **stored(tmp_path / "3", internal_port=inner[1], **peers))
    async with following(eu, us, hidden):
        made = await make(hidden)
        await regions.until(lambda: index(us).find("", made))
        assert (await send(us, "DELETE", f"{VOICES}/{made}"))[0] == 200
        await regions.until(lambda: not index(hidden).find("", made))


async def test_a_seed_is_drawn_by_the_region_that_is_awake(regions: Any, tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    async def draw(request: web.Request) -> web.Response:
        asked.append(await request.json())
        payload = b"\0" * 96
        header = VoiceHeader(
            id=voice_id(payload, SAMPLE_TEXT, "seed"), type="seed", seed=7, transcript=SAMPLE_TEXT,
            latents_shape=(3, 4, 2), payload_bytes=len(payload),
        )  # fmt: skip
        return web.Response(body=serialize(StoredVoice(header, payload)))

    app = web.Application()
    app.router.add_post("/internal/voices/design", draw)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    eu, us = await regions.pair([], [], eu=stored(tmp_path / "1"), us=stored(tmp_path / "2"))
    awake = (PodEndpoint(PodAddress("127.0.0.1", 9, runner.addresses[0][1]), is_ready=True),)
    us.gateway.fleet.on_pods_change = lambda _: None
    us.gateway.fleet.pods_behind = lambda service: awake if service[1] == "us" else ()
    us.gateway.fleet.refresh()
    await regions.until(lambda: eu.state("us").report.ready_pods)
    status, made = await send(eu, "POST", VOICES, json={"name": "seven", "seed": 7})
    assert (status, made["seed"], made["model"], made["status"]) == (200, 7, "d/n", "ready")
    assert asked == [{"name": "seven", "seed": 7, "transcript": SAMPLE_TEXT}]
    assert index(eu).find("", made["id"])
    assert not index(us).headers  # the gateway that was asked stores and replicates it
    await runner.cleanup()


@pytest.mark.parametrize("path", ["", "/changed", f"/voice_{'0' * 32}"])
async def test_voices_are_kept_from_all_but_known_regions(regions: Any, tmp_path: Path, path: str) -> None:
    eu, _ = await regions.pair([], [], eu=stored(tmp_path / "1"), us=stored(tmp_path / "2"))
    method = "POST" if path == "/changed" else "GET"
    folder = regions.folders.issue("asia", folder="asia")  # of the same authority, and no region of the registry
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    url = f"{eu.url}/internal/voices{path}"
    async with aiohttp.ClientSession() as session:
        async with session.request(method, url, ssl=context, server_hostname="eu") as response:
            assert response.status == 403
        plain = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        with pytest.raises(aiohttp.ClientError):
            async with session.request(method, url, ssl=plain, server_hostname="eu") as response:
                await response.read()
    # Nor are they on the port for clients, whatever a request says.
    headers = {"Voxfleet-Tenant": "a", "Authorization": "Bearer x"}
    assert (await send(eu, method, f"/internal/voices{path}", headers=headers))[0] == 404


def sources(region: Any) -> list[Any]:
    found: list[Any] = region.gateway.internal_voices.peers.sources.regions()
    return found


def link(eu: Any, us: Any, ports: list[int]) -> None:
    rows = [
        RegionEntry(name=each.name, gateway_url=each.url, local=False, service=ObjectRef(namespace="d", name=each.name))
        for each in (eu, us)
    ]
    eu.serve_model(*rows, ports=[])
    us.serve_model(*rows, ports=ports)


def free_port() -> int:
    for port in random.SystemRandom().sample(range(20_000, 32_000), 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")
