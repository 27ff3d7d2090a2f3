"""What a gateway asks a pod about voices: whether a recording can be used, and a voice drawn by a seed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx
import numpy as np
import pytest
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS
from voxfleet_inference.server.internal import internal_app
from voxfleet_inference.voices.file_format import (
    MAX_FILE_BYTES,
    StoredVoice,
    VoiceMetadata,
    parse_metadata,
    parse_voice,
    serialize_voice,
    voice_id,
)

RATE = 44100
TOKEN = "internal"


def recording(level: float = 0.3, seconds: float = 2.0) -> bytes:
    encoder = make_encoder(FORMATS["wav"], RATE, RATE)
    samples = (level * np.sin(np.arange(int(seconds * RATE)) * 0.05)).astype(np.float32)
    return encoder.encode(samples) + encoder.finish()


def file_of(payload: bytes) -> bytes:
    metadata = VoiceMetadata(
        id=voice_id("audio_sample", payload, "What I said."), name="Ada", created_at=1, type="audio_sample",
        transcript="What I said.", consent="in writing", payload_bytes=len(payload),
    )  # fmt: skip
    return serialize_voice(StoredVoice(metadata, payload))


@pytest.fixture
async def pod(start_server: Any, tone_model: Any, wait_until: Any) -> Any:
    """A server without a folder for voices, as a pod behind gateways is."""
    sha256 = hashlib.sha256(TOKEN.encode()).hexdigest()
    async with start_server(tone_model, internal_token_sha256=sha256) as server:
        await wait_until(lambda: server.lifecycle.is_ready, 30)
        yield server


async def ask(pod: Any, path: str, content: bytes, token: str = TOKEN) -> httpx.Response:
    transport = httpx.ASGITransport(internal_app(pod.service))
    async with httpx.AsyncClient(transport=transport, base_url="http://internal", timeout=60) as client:
        headers = {"Authorization": f"Bearer {token}"}
        return await client.post(f"/internal/voices/{path}", content=content, headers=headers)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (recording(), ""),
        (recording(level=0.0), "silent: its level is -120 dB of full scale, and speech needs -60; record it nearer"),
        (recording(level=50.0), "clipped: "),
        (recording(seconds=0.5), "0.50 s long; the limits are 1 to 30 s"),
        (recording(seconds=31.5), "longer than 30 s"),
        (b"no audio at all", "15 bytes that are no audio file that can be decoded"),
    ],
)
async def test_a_recording_is_checked_as_an_upload_is(pod: Any, payload: bytes, reason: str) -> None:
    response = await ask(pod, "check", file_of(payload))
    body = response.json()
    assert response.status_code == 200
    assert body["reason"].startswith(reason)
    assert (body["is_usable"], body["patches"]) == ((True, 2) if not reason else (False, 0))


async def test_a_designed_voice_is_sent_as_a_file_and_stored_nowhere(pod: Any) -> None:
    fields = {"name": "seven", "seed": 7, "transcript": "I am seven."}
    made, again = [await ask(pod, "design", json.dumps(fields).encode()) for _ in range(2)]
    voice = parse_voice(made.content, parse_metadata(made.content).id)
    assert (voice.metadata.type, voice.metadata.seed, voice.metadata.transcript) == ("seed", 7, "I am seven.")
    assert voice.latents.shape == voice.metadata.latents_shape == (len("I am seven."), 4, 64)
    assert parse_metadata(again.content).id == voice.metadata.id


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("check", b"not a file\n", 400, "invalid"),
        ("check", file_of(b"12")[:-1], 400, "invalid"),
        ("check", b"x" * (MAX_FILE_BYTES + 1), 413, "body_too_large"),
        ("design", b"{", 400, "invalid_json"),
        ("design", b"[]", 400, "missing"),
        ("design", b'{"name": "x", "seed": -1}', 400, "invalid"),
        ("design", json.dumps({"name": "x", "seed": 7, "transcript": "x" * 190}).encode(), 400, "too_long"),
        ("design", json.dumps({"name": "x", "seed": 7, "transcript": "refuse"}).encode(), 500, "engine_error"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_wrong_request_gets_the_public_error(
    pod: Any, path: str, content: bytes, status: int, code: str
) -> None:
    response = await ask(pod, path, content)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("path", ["check", "design"])
async def test_a_token_is_needed(pod: Any, path: str) -> None:
    assert (await ask(pod, path, b"", token="other")).status_code == 401


async def test_before_the_engine_is_ready_it_is_a_503_with_retry_after(start_server: Any, make_model: Any) -> None:
    model = make_model()
    async with start_server(model) as server:
        server.service.supervisor.drain(enabled=True)
        response = await ask(server, "design", b'{"name": "x", "seed": 1}')
    assert (response.status_code, "retry-after" in response.headers) == (503, True)
