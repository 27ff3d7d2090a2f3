"""Speaks through wyoming-openai as Home Assistant does; prints what came of it as JSON.

Run by the Python of its own environment: `wyoming_speech.py SPEAKING REFUSING SERVER`, its command lines for two
gateways and a server without one as JSON lists. It reads the voices of the first, prints `ready` and waits for a line.
Then it speaks a sentence to its end, disconnects in a long text after its first audio, asks the second, and speaks at
the third.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeVoice

SENTENCE = "Hello from a region that was asleep a moment ago."
LONG = "This text is far too long for anyone to wait for its end. " * 12
START_SECONDS = 240


@contextlib.asynccontextmanager
async def running(command: list[str]) -> AsyncIterator[str]:
    """Yield the address of a server that takes connections."""
    uri = command[command.index("--uri") + 1]
    server = await asyncio.create_subprocess_exec(*command, stdout=sys.stderr, stderr=sys.stderr)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await is_open(uri):
                assert server.returncode is None, f"{command} has ended"
                await asyncio.sleep(0.1)
        yield uri
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def is_open(uri: str) -> bool:
    with contextlib.suppress(OSError):
        async with AsyncClient.from_uri(uri):
            return True
    return False


async def voices(uri: str) -> list[str]:
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Describe().event())
        while (event := await client.read_event()) is not None:
            if Info.is_type(event.type):
                return [voice.name for program in Info.from_event(event).tts for voice in program.voices]
    return []


async def spoken(uri: str, text: str, *, is_interrupted: bool = False) -> dict[str, Any]:
    began, first, size, loudest, rate = time.monotonic(), None, 0, 0, 0
    async with AsyncClient.from_uri(uri) as client:
        await client.write_event(Synthesize(text=text, voice=SynthesizeVoice(name="alloy")).event())
        while (event := await client.read_event()) is not None and not AudioStop.is_type(event.type):
            if Error.is_type(event.type):
                return {
                    "error": "Error",
                    "text": Error.from_event(event).text,
                    "after_seconds": time.monotonic() - began,
                }
            if AudioStart.is_type(event.type):
                rate = AudioStart.from_event(event).rate
            if AudioChunk.is_type(event.type):
                first = first or time.monotonic() - began
                audio = AudioChunk.from_event(event).audio
                size += len(audio)
                loudest = max(loudest, *map(abs, memoryview(audio).cast("h")))
                if is_interrupted:
                    break
    return {"seconds": size / 2 / max(1, rate), "first_seconds": first, "loudest": loudest}


async def main(speaking: list[str], refusing: list[str], server: list[str]) -> dict[str, Any]:
    async with running(speaking) as uri, running(refusing) as refusing_uri:
        known = await voices(uri)
        print("ready", flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.readline)
        result: dict[str, Any] = {
            "voices": known,
            "speak": await spoken(uri, SENTENCE),
            "interrupt": await spoken(uri, LONG, is_interrupted=True),
            "refused": await spoken(refusing_uri, SENTENCE),
        }
        async with running(server) as server_uri:  # it reads the voices, so the server must be ready
            return result | {"at_server": await spoken(server_uri, SENTENCE)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*map(json.loads, sys.argv[1:4])))))  # noqa: T201
