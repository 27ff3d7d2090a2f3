from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.server.internal import internal_app
from voxfleet_inference.server.serve import QuietServer, uvicorn_config
from voxfleet_inference.voices import remote_source
from voxfleet_inference.voices.file_format import MAX_FILE_BYTES, StoredVoice, VoiceMetadata, serialize_voice, voice_id
from voxfleet_inference.voices.remote_source import RemoteSourceError, RemoteVoiceSource

TOKEN = "the source's token"
SPEECH = {"model": "voxcpm-1.5", "input": "Say something.", "response_format": "pcm"}


def stored(transcript: str = "What I said.", payload: bytes = b"sound") -> StoredVoice:
    metadata = VoiceMetadata(
        id=voice_id("audio_sample", payload, transcript),
        name="Ada",
        created_at=1,
        type="audio_sample",
        transcript=transcript,
        consent="yes",
        payload_bytes=len(payload),
    )
    return StoredVoice(metadata, payload)


class Source(ThreadingHTTPServer):
    """A voice source that responses as a test wants."""

    status = 200
    body = b""
    location = ""
    requests: list[tuple[str, str | None]]


class Handler(BaseHTTPRequestHandler):
    server: Source

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.server.status)
        self.send_header("Location", self.server.location)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def source() -> Iterator[Source]:
    server = Source(("127.0.0.1", 0), Handler)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def source_of(source: Source, token_file: Path | None = None) -> RemoteVoiceSource:
    return RemoteVoiceSource(f"http://127.0.0.1:{source.server_port}/base/", token_file)


async def test_a_voice_is_fetched_with_the_token_and_checked(source: Source, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n", encoding="utf-8")
    source.body = serialize_voice(stored())
    voice_id = stored().metadata.id
    assert await source_of(source, tmp_path / "token").fetch(voice_id) == stored()
    assert source.requests == [(f"/base/internal/voices/{voice_id}", f"Bearer {TOKEN}")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (serialize_voice(stored("Something else.")), "its hash is another"),
        (serialize_voice(stored())[:-1], "the payload has 4 bytes and must have 5"),
        (b"no voice at all", "first line"),
        (b"{}\n", "errors in its first line"),
    ],
)
async def test_a_response_that_is_not_the_voice_is_rejected(source: Source, body: bytes, words: str) -> None:
    source.body = body
    with pytest.raises(RemoteSourceError, match=words):
        await source_of(source).fetch(stored().metadata.id)


async def test_a_response_over_the_size_limit_is_rejected(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_source, "MAX_FILE_BYTES", 100_000)
    source.body = b"x" * 200_000
    with pytest.raises(RemoteSourceError, match="more than 100000 bytes"):
        await source_of(source).fetch(stored().metadata.id)
    assert MAX_FILE_BYTES < 11 * 2**20


@pytest.mark.parametrize("status", [301, 401, 500])
async def test_other_statuses_are_reported_and_redirects_are_not_followed(source: Source, status: int) -> None:
    source.status = status
    source.location = f"http://127.0.0.1:{source.server_port}/elsewhere"
    with pytest.raises(RemoteSourceError, match=str(status)):
        await source_of(source).fetch(stored().metadata.id)
    assert len(source.requests) == 1


async def test_a_missing_voice_is_not_fetched_again_at_once(source: Source) -> None:
    source.status = 404
    now = 100.0
    requests = RemoteVoiceSource(f"http://127.0.0.1:{source.server_port}", None, lambda: now)
    assert await requests.fetch(stored().metadata.id) is None
    assert await requests.fetch(stored().metadata.id) is None
    assert len(source.requests) == 1
    now += remote_source.MISSING_SECONDS
    assert await requests.fetch(stored().metadata.id) is None
    assert len(source.requests) == 2


async def test_a_refused_connection_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(RemoteSourceError):
        await RemoteVoiceSource(f"http://127.0.0.1:{port}", None).fetch(stored().metadata.id)


def recording() -> bytes:
    encoder = make_encoder(FORMATS["wav"], 44100, 44100)
    return encoder.encode((0.3 * np.sin(np.arange(88200) * 0.05)).astype(np.float32)) + encoder.finish()


async def test_a_server_speaks_with_a_voice_stored_at_another_server(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    sha256 = hashlib.sha256(TOKEN.encode()).hexdigest()
    async with start_server(make_model(), voices_dir=tmp_path / "voices", internal_token_sha256=sha256) as keeper:
        await wait_until(lambda: keeper.lifecycle.is_ready, 30)
        listening = socket.create_server(("127.0.0.1", 0))
        internal = QuietServer(uvicorn_config(internal_app(keeper.service)))
        serving = asyncio.create_task(internal.serve([listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        form = {"name": "Ada", "transcript": "What I said.", "consent": "in writing"}
        async with httpx.AsyncClient(timeout=60) as client:
            made = await client.post(f"{keeper.url}/v1/voices", data=form, files={"audio_sample": recording()})
            name = made.json()["id"]
            assert (await client.get(f"{url}/internal/voices/{name}")).status_code == 401
            async with start_server(
                model := make_model(), voice_source=url, voice_source_token_file=tmp_path / "token"
            ) as pod:
                await wait_until(lambda: pod.lifecycle.is_ready, 30)
                responses = await asyncio.gather(
                    *(client.post(f"{pod.url}/v1/audio/speech", json={**SPEECH, "voice": name}) for _ in range(3))
                )
                unknown = await client.post(f"{pod.url}/v1/audio/speech", json={**SPEECH, "voice": "voice_" + "0" * 32})
                metadata = await client.get(f"{pod.url}/v1/audio/voices/{name}")
                rejected = await client.post(f"{pod.url}/v1/voices", data=form, files={"audio_sample": recording()})
        internal.should_exit = True
        await asyncio.wait_for(serving, 30)
    assert [response.status_code for response in responses] == [200] * 3
    assert model.prompts[-1].text == "What I said."
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "voice_not_found")
    assert metadata.json()["name"] == "Ada"
    assert (rejected.status_code, "--voice-source" in rejected.text) == (501, True)


async def test_a_failed_fetch_is_a_503_that_names_no_path(
    start_server: Any, make_model: Any, wait_until: Any, tmp_path: Path
) -> None:
    missing = tmp_path / "no such token"
    async with start_server(make_model(), voice_source="http://127.0.0.1:9", voice_source_token_file=missing) as pod:
        await wait_until(lambda: pod.lifecycle.is_ready, 60)
        async with httpx.AsyncClient(timeout=60) as client:
            requests = {**SPEECH, "voice": "voice_" + "0" * 32}
            rejected = await client.post(f"{pod.url}/v1/audio/speech", json=requests)
    assert (rejected.status_code, rejected.json()["error"]["code"]) == (503, "voice_source_unavailable")
    assert "retry-after" in rejected.headers
    assert "token" not in rejected.text


async def test_a_requests_token_replaces_the_file_and_what_it_lacks_another_may_have(
    source: Source, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    remote, voice = source_of(source, tmp_path / "token"), stored()
    source.status = 404
    assert await remote.fetch(voice.metadata.id, "one") is None
    assert await remote.fetch(voice.metadata.id, "one") is None  # known to be missing: not asked again
    source.status, source.body = 200, serialize_voice(voice)
    assert await remote.fetch(voice.metadata.id, "two") == voice
    assert [authorization for _, authorization in source.requests] == ["Bearer one", "Bearer two"]
