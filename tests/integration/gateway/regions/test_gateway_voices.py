"""Voices in two gateway processes of two regions: the same everywhere, and whole when one of them is lost."""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import aiohttp
from voxfleet_testbed.network.certificates import Identity, make_authority

EU, US = "eu-central", "us-east"
FORM = {"name": "Ada", "transcript": "What I said.", "consent": "in writing"}
VOICES = "/v1/audio/voices"


async def listed(session: aiohttp.ClientSession, gateway: Any) -> dict[str, str]:
    """Return the stored voices' names by id."""
    async with session.get(gateway.url(VOICES)) as response:
        assert response.status == 200
        found = (await response.json())["data"]
    return {voice["id"]: voice["name"] for voice in found if voice["type"] != "built_in"}


async def until_listed(session: aiohttp.ClientSession, gateway: Any, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(60):
        while await listed(session, gateway) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def make(session: aiohttp.ClientSession, gateway: Any, recording: bytes, name: str) -> str:
    form = aiohttp.FormData(FORM | {"name": name})
    form.add_field("audio_sample", recording, filename="ada.wav")
    async with session.post(gateway.url(VOICES), data=form) as response:
        made = await response.json()
        assert (response.status, made["status"]) == (200, "pending"), made  # every region sleeps
    return str(made["id"])


async def test_a_lost_region_loses_no_voice_and_gets_them_back(
    stage: Any, start_gateway: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    authority = make_authority("peers", dt.datetime.now(dt.UTC))

    async def start(region: str, volume: str, peer_port: int = 0) -> Any:
        folder = tmp_path / region
        folder.mkdir(exist_ok=True)
        pair = authority.issue(Identity(region, names=(region,)), dt.datetime.now(dt.UTC))
        for name, data in {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pem()}.items():
            (folder / name).write_bytes(data)
        return await start_gateway(
            region,
            VOXFLEET_VOICES_DIR=str(tmp_path / volume),
            VOXFLEET_VOICE_SYNC_SECONDS="0.5",
            VOXFLEET_PEER_TLS_FOLDER=str(folder),
            VOXFLEET_PEER_PORT=str(peer_port),
            VOXFLEET_PEER_POLL_SECONDS="0.5",
            VOXFLEET_ALLOWED_PEER_NETWORKS="127.0.0.0/8",
        )

    eu, us = await asyncio.gather(start(EU, "1"), start(US, "2"))
    ports = {EU: eu.ports["peers"], US: us.ports["peers"]}
    urls = {region: f"https://127.0.0.1:{port}" for region, port in ports.items()}
    stage.put_model([stage.region(region, local=False, gateway_url=url) for region, url in urls.items()])
    kept, gone = [await make(session, eu, each, each.decode()) for each in (b"kept", b"gone")]
    await until_listed(session, us, {kept: "kept", gone: "gone"})
    eu.stop()  # and its volume with it
    async with session.delete(us.url(f"{VOICES}/{gone}")) as response:
        assert response.status == 200
    made = await make(session, us, b"made meanwhile", "new")
    eu = await start(EU, "3", ports[EU])
    await until_listed(session, eu, {kept: "kept", made: "new"})
    assert await make(session, us, b"kept", "renamed") == kept
    await until_listed(session, eu, {kept: "renamed", made: "new"})
    async with session.get(eu.url(f"{VOICES}/{gone}")) as response:
        assert response.status == 404
