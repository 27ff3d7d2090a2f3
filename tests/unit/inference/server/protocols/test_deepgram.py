"""The server speaks Deepgram's protocol, over WebSocket and HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from itertools import pairwise
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
import websockets

PATCH = 7056


class Talk:
    """A client that keeps what it receives."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket, self.audio, self.kinds = socket, b"", list[str]()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def receive(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                message = await self.socket.recv()
                if isinstance(message, bytes):
                    self.audio += message
                    continue
                fields = json.loads(message)
                self.kinds.append(fields["type"])
                if fields["type"] == kind:
                    return dict(fields)


def connect(server: Any, query: str = "", **options: Any) -> Any:
    url = f"ws://127.0.0.1:{server.port}/v1/speak?model=default&encoding=linear16&sample_rate=44100{query}"
    return websockets.connect(url, compression=None, max_size=None, **options)


async def test_a_turn_is_spoken_whole_before_flushed(server: Any) -> None:
    async with connect(server) as socket:
        talk = Talk(socket)
        await talk.receive("Metadata")
        for word in ("Good", "morning.", "And", "more"):  # a word each, as LiveKit sends them
            await talk.send("Speak", text=f"{word} ")
        await talk.send("Flush")
        flushed = await talk.receive("Flushed")
        assert flushed["sequence_id"] == 0
        patches = len("Good morning.") + len("And more")
        assert len(talk.audio) // 2 >= patches * PATCH
        assert np.abs(np.frombuffer(talk.audio, "<i2")).max() > 1000
        await talk.send("Flush")
        assert (await talk.receive("Flushed"))["sequence_id"] == 1, "nothing waits, so nothing is waited for"
        await talk.send("Close")
        with pytest.raises(websockets.ConnectionClosedOK):
            await talk.receive("never")


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
async def test_a_telephone_s_encoding_is_a_byte_per_sample_at_8_khz(server: Any, encoding: str) -> None:
    url = f"//127.0.0.1:{server.port}/v1/speak?encoding={encoding}&sample_rate=8000&container=none"
    async with websockets.connect(f"ws:{url}", compression=None) as socket:
        talk = Talk(socket)
        await talk.send("Speak", text="Good morning.")
        await talk.send("Flush")
        await talk.receive("Flushed")
    async with httpx.AsyncClient(timeout=60) as client:
        spoken = await client.post(f"http:{url}", json={"text": "Good morning."})
    assert spoken.headers["content-type"] == {"mulaw": "audio/PCMU", "alaw": "audio/PCMA"}[encoding]
    expected = len("Good morning.") * PATCH * 8000 / 44_100
    for audio in (talk.audio, spoken.content):
        assert expected - 100 <= len(audio) <= expected + 8000  # the filter's delay, and the pause at the end
        raw = {"format": "RAW", "subtype": {"mulaw": "ULAW", "alaw": "ALAW"}[encoding], "samplerate": 8000}
        samples, _ = soundfile.read(io.BytesIO(audio), channels=1, **raw)
        spectrum = np.abs(np.fft.rfft(samples[:8000] * np.hanning(8000)))  # a bin per Hz
        assert spectrum.max() > 100 * np.median(spectrum), "the tone model's tone, and little else"


async def test_clear_stops_the_speech_and_keeps_the_socket(server: Any, wait_until: Any) -> None:
    async with connect(server) as socket:
        talk = Talk(socket)
        await talk.send("Speak", text="A sentence that is much too long to be finished by now. " * 20)
        await talk.send("Flush")
        async with asyncio.timeout(60):
            while not isinstance(await socket.recv(), bytes):
                pass
        await talk.send("Clear")
        await talk.receive("Cleared")
        await talk.send("Speak", text="Again.")
        await talk.send("Flush")
        assert (await talk.receive("Flushed"))["sequence_id"] == 0, "the flush before Clear was dropped with its text"
        await talk.send("Close")
    await wait_until(lambda: server.load.open_requests == 0)


@pytest.mark.parametrize("query", ["&encoding=mulaw&sample_rate=8000", "&speed=1.5", "&speed=0.25&sample_rate=16000"])
async def test_all_audio_of_a_text_is_sent_before_its_flushed(server: Any, query: str) -> None:
    sent: list[int] = []
    url = f"ws://127.0.0.1:{server.port}/v1/speak?model=alloy{query}"
    async with websockets.connect(url, compression=None) as socket:
        talk = Talk(socket)
        for _ in range(3):
            await talk.send("Speak", text="Good morning.")
            await talk.send("Flush")
            await talk.receive("Flushed")
            sent.append(len(talk.audio))
        await talk.send("Close")
        with pytest.raises(websockets.ConnectionClosedOK):
            await talk.receive("never")
        assert len(talk.audio) == sent[-1]
    lengths = [after - before for before, after in pairwise([0, *sent])]
    # A pause more is before the second and the third; filters do not carry samples from one to the next.
    assert abs(lengths[1] - lengths[2]) <= 2 * 2


@pytest.mark.parametrize("query", ["&encoding=vorbis", "&speed=fast", "&speed=9", "&sample_rate=7"])
async def test_what_the_query_cannot_have_is_refused_before_the_handshake(server: Any, query: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connect(server, query.replace("&encoding", "&x=1&encoding", 1)).__aenter__()
    body = json.loads(refused.value.response.body or b"")
    assert refused.value.response.status_code == 400
    assert set(body) == {"err_code", "err_msg", "request_id"}


async def test_an_unknown_voice_is_refused_before_the_handshake(server: Any) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{server.port}/v1/speak?model=aura-2-thalia-en")
    body = json.loads(refused.value.response.body or b"")
    assert (refused.value.response.status_code, body["err_code"]) == (400, "voice_not_found")
    assert "aura-2-thalia-en" in body["err_msg"]


async def test_the_http_form_streams_audio_and_refuses_in_deepgram_s_form(server: Any) -> None:
    url = f"http://127.0.0.1:{server.port}/v1/speak"
    async with httpx.AsyncClient(timeout=60) as client:
        spoken = await client.post(url, params={"encoding": "linear16"}, json={"text": "Hello."})
        assert (spoken.status_code, spoken.headers["content-type"], spoken.content[:4]) == (200, "audio/wav", b"RIFF")
        mp3 = await client.post(url, json={"text": "Hello."})
        assert mp3.headers["content-type"] == "audio/mpeg"
        for params, body in (
            ({"encoding": "mulaw"}, {"text": "x"}),  # in WAV, unless the container is none
            ({"encoding": "vorbis"}, {"text": "x"}),
            ({}, {"text": ""}),
        ):
            refused = await client.post(url, params=params, json=body)
            assert refused.status_code == 400
            assert set(refused.json()) == {"err_code", "err_msg", "request_id"}
        unknown = await client.post(url, params={"model": "aura-2-nobody-en"}, json={"text": "x"})
        assert (unknown.status_code, "aura-2-nobody-en" in unknown.text) == (400, True)
