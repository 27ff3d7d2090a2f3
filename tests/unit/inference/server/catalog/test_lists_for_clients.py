"""Lists of models and voices, health and odd paths, in the forms that clients of other servers read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS

KEY = "sk-0123"
SPEECH = {"model": "tts-1", "input": "Hi there.", "response_format": "pcm"}
ALL_PATHS = [
    "/v1",
    "/v1/models",
    "/v1/models/voxcpm-1.5",
    "/v1/audio/models",
    "/v1/audio/voices",
    "/v1/audio/voices/default",
    "/v1/voices",
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
]


@pytest.fixture
async def client(start_server: Any, tone_model: Any, wait_until: Any, tmp_path: Path) -> AsyncIterator[Any]:
    tone_model.single_speaker = False
    names = {"model_aliases": "tts-1", "voice_aliases": "narrator=default"}
    async with start_server(tone_model, voices_dir=tmp_path, **names) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with httpx.AsyncClient(base_url=server.url, timeout=60, follow_redirects=False) as opened:
            yield opened


async def upload(client: httpx.AsyncClient, name: str) -> str:
    encoder = make_encoder(FORMATS["wav"], 44100, 44100)
    sound = encoder.encode((0.3 * np.sin(np.arange(88200) * 0.05)).astype(np.float32)) + encoder.finish()
    form = {"name": name, "transcript": "What I said.", "consent": "Ada Example agreed in writing"}
    made = await client.post("/v1/audio/voices", data=form, files={"audio_sample": ("a.wav", io.BytesIO(sound))})
    return str(made.json()["id"])


async def test_open_webui_finds_models_and_voices(client: httpx.AsyncClient) -> None:
    voice_id = await upload(client, "Ada")
    assert (await client.get("/v1/audio/models")).json() == {"models": [{"id": "voxcpm-1.5"}, {"id": "tts-1"}]}
    listed = (await client.get("/v1/audio/voices")).json()
    assert listed["voices"] == [
        {"id": "default", "name": "default"},
        {"id": "random", "name": "random"},
        {"id": "narrator", "name": "narrator"},
        {"id": voice_id, "name": "Ada"},
    ]
    assert [each["id"] for each in listed["data"]] == ["default", "random", voice_id]


async def test_clients_of_speaches_find_voices_that_speak_by_their_names(client: httpx.AsyncClient) -> None:
    await upload(client, "Ada")
    voices = (await client.get("/v1/models/tts-1")).json()["voices"]
    assert [(each["name"], each["language"]) for each in voices] == [
        ("default", "en"),
        ("random", "en"),
        ("narrator", "en"),
        ("Ada", "en"),
    ]
    for voice in voices:
        spoken = await client.post("/v1/audio/speech", json={**SPEECH, "voice": voice["name"]})
        assert spoken.status_code == 200, voice


async def test_health_is_ok_and_other_servers_paths_are_not_here(client: httpx.AsyncClient) -> None:
    health = await client.get("/health")
    assert (health.status_code, health.text) == (200, "OK")
    for path in ("/v1/readyz", "/readyz", "/v1/readyz/", "/v1/test"):
        assert (await client.get(path)).status_code == 404, path


async def test_health_says_the_state_until_the_server_is_ready(
    start_server: Any, make_model: Any, wait_until: Any
) -> None:
    async with start_server(make_model(step_seconds=0.2)) as server:
        await wait_until(lambda: server.lifecycle.state == "warming")
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            early = await client.get("/health")
            assert (early.status_code, early.text) == (503, "warming")
            assert (await client.get("/v1/")).status_code == 200


async def test_slashes_at_the_end_change_nothing(client: httpx.AsyncClient) -> None:
    for path in ALL_PATHS:
        without, *others = [await client.get(path + slashes) for slashes in ("", "/", "//")]
        assert without.status_code == 200, path
        assert [(each.status_code, each.content) for each in others] == [(200, without.content)] * 2, path


async def test_speech_and_sessions_take_a_slash_at_the_end(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/audio/speech/", json=SPEECH)).status_code == 200
    url = str(client.base_url).replace("http", "ws").rstrip("/") + "/v1/audio/speech/stream/"
    async with websockets.connect(url) as socket:
        await socket.send('{"type": "session.end"}')
        assert "session.done" in str(await socket.recv())


PUBLIC = {"/v1", "/v1/models", "/v1/models/voxcpm-1.5", "/v1/audio/models", "/v1/audio/voices", "/v1/voices"}


@pytest.mark.parametrize("is_public", [False, True])
async def test_a_public_catalog_needs_no_key_and_everything_else_does(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path, *, is_public: bool
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"ada {hashlib.sha256(KEY.encode()).hexdigest()}\n")
    async with start_server(make_model(), api_keys_file=keys, public_catalog=is_public) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for path in (each for each in ALL_PATHS if each.startswith("/v1")):
                for method in ("GET", "HEAD"):
                    expected = 200 if path in PUBLIC and is_public else 401
                    assert (await client.request(method, path + "/")).status_code == expected, (method, path)
            for method, path in (
                ("POST", "/v1/audio/speech"),
                ("POST", "/v1/audio/voices"),
                ("DELETE", "/v1/voices/a"),
            ):
                assert (await client.request(method, path)).status_code == 401
            known = {"Authorization": f"Bearer {KEY}"}
            assert (await client.get("/v1/", headers=known)).status_code == 200
