"""The kinds of clients: who listens, and every bad habit we know of.

A kind draws what it will ask and returns how it asks, so that a refused one can ask the same again.
Knows: what each kind does and how its exchange may end. Does not know: how many there are, or for how long.
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
    NOT_NOW,
    OK,
    PATH,
    WRONG,
    Refusal,
    ViolationError,
    connected,
    http_request,
    speech_request,
)
from live_clients import HEARD, hangs_up_live, mumbles_live, talks_live

FORMATS = ("pcm", "mp3", "opus", "aac", "flac", "wav")
TEXTS = ("A short one.", "今天天气很好。", "Two sentences are here. This is the second.", "word " * 60)
LEAST_AUDIO_BYTES = 100
HAMMERINGS = 5
RECORDING_RATE = 16000

Attempt = Callable[[int], Awaitable[str | Refusal]]
Kind = Callable[[random.Random], Attempt]


def listens(draw: random.Random) -> Attempt:
    """To the end, in any format, streamed or whole; comes back when told to."""
    wanted = {
        "input": draw.choice(TEXTS),
        "response_format": draw.choice(FORMATS),
        "stream": draw.choice((True, True, False)),
    }
    return hearing(speech_request(wanted), pause_seconds=0.0)


def clones(draw: random.Random) -> Attempt:
    """To the end, with a voice that nobody had before."""
    with io.BytesIO() as recording:
        with wave.open(recording, "wb") as file:
            file.setparams((1, 2, RECORDING_RATE, 0, "NONE", ""))
            file.writeframes(draw.randbytes(2 * int(RECORDING_RATE * draw.uniform(1, 3))))
        audio = base64.b64encode(recording.getvalue()).decode()
    wanted = {"input": draw.choice(TEXTS[:3]), "reference_audio": audio, "reference_text": "What was said."}
    return hearing(speech_request(wanted), pause_seconds=0.0)


def reads_slowly(draw: random.Random) -> Attempt:
    """A little at a time, with pauses, to the end."""
    return hearing(speech_request({"input": draw.choice(TEXTS[:3])}), pause_seconds=0.1)


def hearing(request: bytes, pause_seconds: float) -> Attempt:
    """Ask, and read everything that comes."""

    async def ask(port: int) -> str | Refusal:
        async with connected(port) as exchange:
            exchange.writer.write(request)
            await exchange.read_head()
            if exchange.status != OK:
                return await exchange.refusal()
            heard_bytes = 0
            async for piece in exchange.body():
                heard_bytes += len(piece)
                await asyncio.sleep(pause_seconds)
            if heard_bytes < LEAST_AUDIO_BYTES:
                raise ViolationError(f"{heard_bytes} bytes of audio for {request!r}")
        return HEARD

    return ask


def hammers(draw: random.Random) -> Attempt:
    """Refused, asks again at once, whatever it was told, and gives up after a few times."""
    ask_once = listens(draw)

    async def ask(port: int) -> str | Refusal:
        for _ in range(HAMMERINGS):
            ended = await ask_once(port)
            if not isinstance(ended, Refusal):
                return ended
        return "gave up"

    return ask


def leaves(draw: random.Random) -> Attempt:
    """At any moment: before the request is whole, before the answer, or in the middle of it."""
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
    """Asks for much and never reads, for longer than the server's patience."""
    stays_seconds = draw.uniform(1, 6)

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.transport.pause_reading()  # type: ignore[attr-defined]
            exchange.writer.write(speech_request({"input": "word " * 300, "sample_rate": 96000}))
            await asyncio.sleep(stays_seconds)
        return "left unread"

    return ask


def closes_one_half(draw: random.Random) -> Attempt:
    """A request and the end of everything this side has to say; an answer or its absence must follow soon."""
    request = speech_request({"input": draw.choice(TEXTS[:2])})

    async def ask(port: int) -> str | Refusal:
        async with connected(port) as exchange:
            exchange.writer.write(request)
            exchange.writer.write_eof()
            try:
                await exchange.read_head()
                if exchange.status != OK:
                    return await exchange.refusal()
                await exchange.whole_body()
            except asyncio.IncompleteReadError:
                return "cut, as who hung up"
        return HEARD

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


def asks_wrongly(draw: random.Random) -> Attempt:
    """Something that is no speech request."""
    wrong = draw.choice(WRONG_REQUESTS)

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.write(wrong)
            await exchange.read_head()
            return str((await exchange.refusal((*WRONG, *NOT_NOW))).status)

    return ask


def speaks_no_http(draw: random.Random) -> Attempt:
    """Random bytes; the server may say 400 or hang up, and must do one of them."""
    noise = draw.randbytes(draw.randint(1, 2000)) + b"\r\n\r\n"

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            exchange.writer.write(noise)
            with contextlib.suppress(ConnectionError):
                await exchange.reader.read()
        return "hung up on"

    return ask


def trickles(draw: random.Random) -> Attempt:
    """Headers, a byte at a time, and then no more."""
    head = speech_request({"input": "hi"})[: draw.randint(5, 40)]

    async def ask(port: int) -> str:
        async with connected(port) as exchange:
            for byte in head:
                exchange.writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
        return "left"

    return ask


# Those that ask for speech as one should, if only at first, and how often each is met.
SPEAKING: dict[Kind, int] = {
    listens: 16, clones: 2, talks_live: 3, reads_slowly: 3,
    hammers: 1, leaves: 4, hangs_up_live: 1, reads_nothing: 1, closes_one_half: 1,
}  # fmt: skip
OTHERS: dict[Kind, int] = {asks_wrongly: 3, mumbles_live: 1, speaks_no_http: 1, trickles: 1}
KINDS = SPEAKING | OTHERS
