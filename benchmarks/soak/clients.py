"""The kinds of clients: well-behaved ones, and one for each misbehaviour that a server must tolerate.

A kind draws its request and returns an attempt, so that a rejected client can repeat the same request.
Knows: what each kind does and how its exchange may end. Does not know: how many clients run, or for how long.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import random
import wave
from collections.abc import Awaitable, Callable

from exchange import (
    OK,
    PATH,
    RETRYABLE,
    WRONG,
    Rejection,
    ViolationError,
    connected,
    http_request,
    speech_request,
)
from live_clients import COMPLETED, hangs_up_live, sends_nonsense_live, streams_live

FORMATS = ("pcm", "mp3", "opus", "aac", "flac", "wav")
TEXTS = ("A short one.", "今天天气很好。", "Two sentences are here. This is the second.", "word " * 60)
MIN_AUDIO_BYTES = 100  # the shortest text makes more in every format
HAMMER_ATTEMPTS = 5
RECORDING_RATE = 16000

Attempt = Callable[[int], Awaitable[str | Rejection]]
Kind = Callable[[random.Random], Attempt]


def reads_all(draw: random.Random) -> Attempt:
    """Read all audio, in any format, streamed or not; retry after a rejection."""
    fields = {
        "input": draw.choice(TEXTS),
        "response_format": draw.choice(FORMATS),
        "stream": draw.choice((True, True, False)),
    }
    return reading_all(speech_request(fields), pause_seconds=0.0)


def clones_a_voice(draw: random.Random) -> Attempt:
    """Read all audio of a request with a new reference recording, which no cache has."""
    with io.BytesIO() as recording:
        with wave.open(recording, "wb") as file:
            file.setparams((1, 2, RECORDING_RATE, 0, "NONE", ""))
            file.writeframes(draw.randbytes(2 * int(RECORDING_RATE * draw.uniform(1, 3))))
        audio = base64.b64encode(recording.getvalue()).decode()
    fields = {"input": draw.choice(TEXTS[:3]), "reference_audio": audio, "reference_text": "What was said."}
    return reading_all(speech_request(fields), pause_seconds=0.0)


def reads_slowly(draw: random.Random) -> Attempt:
    """Read all audio with a pause after each chunk."""
    return reading_all(speech_request({"input": draw.choice(TEXTS[:3])}), pause_seconds=0.1)


def reading_all(request: bytes, pause_seconds: float) -> Attempt:
    """Return an attempt that sends a request and reads its response to the end."""

    async def ask(port: int) -> str | Rejection:
        async with connected(port) as exchange:
            exchange.writer.write(request)
            await exchange.read_head()
            if exchange.status != OK:
                return await exchange.rejection()
            received_bytes = 0
            async for piece in exchange.body():
                received_bytes += len(piece)
                await asyncio.sleep(pause_seconds)
            if received_bytes < MIN_AUDIO_BYTES:
                raise ViolationError(f"{received_bytes} bytes of audio for {request!r}")
        return COMPLETED

    return ask


def hammers(draw: random.Random) -> Attempt:
    """Retry at once after a rejection, ignoring Retry-After, and give up after a few attempts."""
    ask_once = reads_all(draw)

    async def ask(port: int) -> str | Rejection:
        for _ in range(HAMMER_ATTEMPTS):
            ended = await ask_once(port)
            if not isinstance(ended, Rejection):
                return ended
        return "gave up"

    return ask


def leaves(draw: random.Random) -> Attempt:
    """Disconnect at any moment: before the request is complete, before the response, or during it."""
    request = speech_request({"input": "word " * 200})
    sent, stays_seconds = draw.choice((10, len(request) - 5, len(request))), draw.expovariate(1.0)

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.write(request[:sent])
            with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(stays_seconds):
                    await exchange.read_head()
                    async for _ in exchange.body():
                        await asyncio.sleep(0.05)
        return "left"

    return ask


def reads_nothing(draw: random.Random) -> Attempt:
    """Request much audio and read nothing, for up to a second longer than --slow-client-seconds."""
    stays_seconds = draw.uniform(1, 6)

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.transport.pause_reading()  # type: ignore[attr-defined]
            exchange.writer.write(speech_request({"input": "word " * 300, "sample_rate": 96000}))
            await asyncio.sleep(stays_seconds)
        return "left unread"

    return ask


def closes_one_half(draw: random.Random) -> Attempt:
    """Send a request and close the sending half (FIN); a response or a closed connection must follow."""
    request = speech_request({"input": draw.choice(TEXTS[:2])})

    async def ask(port: int) -> str | Rejection:
        async with connected(port) as exchange:
            exchange.writer.write(request)
            exchange.writer.write_eof()
            try:
                await exchange.read_head()
                if exchange.status != OK:
                    return await exchange.rejection()
                await exchange.whole_body()
            except asyncio.IncompleteReadError:
                return "closed by the server, as after a disconnect"
        return COMPLETED

    return ask


WRONG_REQUESTS = (
    http_request("POST", PATH, b"{"),
    http_request("POST", PATH, b"[]"),
    http_request("POST", PATH, b"\xff\xfe"),
    http_request("GET", PATH, b""),
    http_request("POST", "/v1/nothing", b"{}"),
    speech_request({"input": ""}),
    speech_request({"input": "x" * 5000}),
    speech_request({"input": "hi", "speed": 99}),
    speech_request({"input": "hi", "model": "another"}),
    speech_request({"input": "hi", "reference_audio": "AAAA", "reference_text": "a"}),
    speech_request({"input": "hi", "voice": {"id": 7}}),
)


def sends_wrong_requests(draw: random.Random) -> Attempt:
    """Send a request with a wrong method, path, body or field; the response must be a valid error."""
    wrong = draw.choice(WRONG_REQUESTS)

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.write(wrong)
            await exchange.read_head()
            return str((await exchange.rejection((*WRONG, *RETRYABLE))).status)

    return ask


def sends_no_http(draw: random.Random) -> Attempt:
    """Send random bytes; the server must answer 400 or close the connection."""
    noise = draw.randbytes(draw.randint(1, 2000)) + b"\r\n\r\n"

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.write(noise)
            with contextlib.suppress(ConnectionError):
                await exchange.reader.read()
        return "closed by the server"

    return ask


def trickles(draw: random.Random) -> Attempt:
    """Send the first headers one byte at a time, then disconnect."""
    head = speech_request({"input": "hi"})[: draw.randint(5, 40)]

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            for byte in head:
                exchange.writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
        return "left"

    return ask


# Kinds that start with a valid speech request, with their weights; the completed share is computed over these.
SPEAKING: dict[Kind, int] = {
    reads_all: 16, clones_a_voice: 2, streams_live: 3, reads_slowly: 3,
    hammers: 1, leaves: 4, hangs_up_live: 1, reads_nothing: 1, closes_one_half: 1,
}  # fmt: skip
OTHERS: dict[Kind, int] = {sends_wrong_requests: 3, sends_nonsense_live: 1, sends_no_http: 1, trickles: 1}
KINDS = SPEAKING | OTHERS
