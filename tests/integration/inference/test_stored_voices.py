from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from voxfleet_inference.audio.encoding import make_encoder
from voxfleet_inference.audio.formats import FORMATS

FORM = {"name": "Ada", "transcript": "what I said", "consent": "in writing"}
TEXT = "A first sentence. And then a second one."


def recording() -> bytes:
    encoder = make_encoder(FORMATS["mp3"], 44100, 44100)
    noise = np.random.default_rng(0).standard_normal(66150).astype(np.float32) * 0.1
    return encoder.encode(noise) + encoder.finish()


def spoken(server: Any, voice: str) -> bytes:
    body = {"model": "voxcpm-1.5", "input": TEXT, "voice": voice, "response_format": "pcm", "seed": 3}
    answer = server.http.post(server.url("/v1/audio/speech"), json=body)
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


def test_stored_voices_outlive_the_server_and_give_the_same_audio(
    start_server: Any, tiny: Path, tmp_path: Path
) -> None:
    flags = ("--voices-dir", str(tmp_path / "voices"), "--deterministic")
    with start_server(tmp_path / "first", tiny, *flags) as server:
        server.wait_for_ready()
        files = {"audio_sample": ("ada.mp3", recording())}
        uploaded = server.http.post(server.url("/v1/audio/voices"), data=FORM, files=files).json()["id"]
        designed = server.http.post(server.url("/v1/audio/voices"), json={"name": "7", "seed": 7}).json()["id"]
        before = {voice: spoken(server, voice) for voice in (uploaded, designed)}
    (tmp_path / "voices" / ".writing-when-it-was-killed").write_bytes(b"half a voice")
    with start_server(tmp_path / "second", tiny, *flags, "--voice-aliases", f"nova={uploaded}") as server:
        server.wait_for_ready()
        listed = [voice["id"] for voice in server.http.get(server.url("/v1/voices")).json()["data"]]
        after = {voice: spoken(server, voice) for voice in (uploaded, designed)}
        by_alias = spoken(server, "nova")
    assert set(listed) == {"default", "random", uploaded, designed}
    assert after == before
    assert by_alias == before[uploaded] != before[designed]
    assert sorted(each.name for each in (tmp_path / "voices").iterdir()) == sorted(
        f"{voice}.voice" for voice in (uploaded, designed)
    )
