# ruff: noqa: INP001 -- a file to copy, not part of a package
"""Speak text while it is being written: `pip install websockets`, then `some-language-model | python live_text.py`.

Each line of standard input is sent as it arrives; the server synthesizes a sentence as soon as it is complete.
VOXFLEET_URL is the URL of a speech server.
"""

import asyncio
import json
import os
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import websockets

URL = os.environ.get("VOXFLEET_URL", "http://127.0.0.1:6006").replace("http", "ws", 1)
MODEL = os.environ.get("VOXFLEET_MODEL", "voxcpm-1.5")
API_KEY = os.environ.get("VOXFLEET_API_KEY", "none")


async def speak_live(pieces: AsyncIterator[str], destination: Path) -> list[dict[str, Any]]:
    """Write the session's audio to `destination`; returns the server's JSON messages.

    Raises:
        RuntimeError: the server sent an error message.
    """
    headers = {"Authorization": f"Bearer {API_KEY}"}
    events: list[dict[str, Any]] = []
    async with websockets.connect(f"{URL}/v1/audio/speech/stream", additional_headers=headers) as socket:
        await socket.send(json.dumps({"type": "session.start", "model": MODEL, "response_format": "pcm"}))
        writing = asyncio.create_task(_write(socket, pieces))
        with wave.open(str(destination), "wb") as file:
            file.setparams((1, 2, 24000, 0, "NONE", ""))
            async for message in socket:  # ends when the server closes the session
                if isinstance(message, bytes):
                    file.writeframesraw(message)
                    continue
                events.append(json.loads(message))
                if events[-1]["type"] == "error":
                    raise RuntimeError(events[-1]["error"]["message"])
        await writing
    return events


async def _write(socket: websockets.ClientConnection, pieces: AsyncIterator[str]) -> None:
    async for piece in pieces:
        await socket.send(json.dumps({"type": "text.append", "text": piece}))
    await socket.send(json.dumps({"type": "session.end"}))


async def _standard_input() -> AsyncIterator[str]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


if __name__ == "__main__":
    try:
        messages = asyncio.run(speak_live(_standard_input(), Path("live.wav")))
    except (OSError, RuntimeError, websockets.WebSocketException) as error:
        sys.exit(f"{URL}: {error}")
    for each in messages:
        sys.stdout.write(f"{json.dumps(each, ensure_ascii=False)}\n")
