"""Runs Open WebUI's own audio router, with its own accounts and database, and asks it as its page does.

Run by the Python of its own environment, with Open WebUI's variables set: `open_webui_speech.py REFUSING_BASE_URL`.
It reads the lists of models and voices, prints `ready` and waits for a line. Then it has a sentence spoken, and another
one with the second gateway's base URL. Prints what came of it as JSON.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI
from open_webui.models.auths import Auths
from open_webui.models.config import Config
from open_webui.routers import audio
from open_webui.utils.auth import create_token, get_password_hash
from open_webui.utils.mfa import get_auth

SENTENCE = "Hello from a region that was asleep a moment ago."
OTHER = "This sentence is in no cache."
BASE_URL = "audio.tts.openai.api_base_url"


async def made_user() -> str:
    """Return the token of a new administrator."""
    user = await Auths.insert_new_auth("ada@example.com", await get_password_hash("correct horse"), "Ada", role="admin")
    stamp = (await get_auth(user.id)).session_stamp
    return str(create_token({"id": user.id, "session_stamp": stamp}))


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Serve the router at its path in Open WebUI; yield that address."""
    app = FastAPI()
    app.state.redis = None  # as in an installation without Redis
    app.include_router(audio.router, prefix="/api/v1/audio")
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1/audio"
    finally:
        server.should_exit = True
        await running


async def listed(page: aiohttp.ClientSession, address: str) -> list[str]:
    async with page.get(address) as response:
        (rows,) = (await response.json()).values()
        return [row["id"] for row in rows]


async def spoken(page: aiohttp.ClientSession, address: str, text: str) -> dict[str, Any]:
    began = time.monotonic()
    async with page.post(f"{address}/speech", json={"input": text, "voice": "alloy"}) as response:
        body = await response.read()
        result = {"status": response.status, "type": response.content_type, "after_seconds": time.monotonic() - began}
        return result | ({"size": len(body)} if response.ok else {"text": body.decode()})


async def main(refusing_base_url: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {await made_user()}"}
    async with served() as address, aiohttp.ClientSession(headers=headers) as page:
        lists = {name: await listed(page, f"{address}/{name}") for name in ("models", "voices")}
        print("ready", flush=True)  # noqa: T201
        await asyncio.to_thread(sys.stdin.readline)
        result = {**lists, "spoken": await spoken(page, address, SENTENCE)}
        await Config.upsert({BASE_URL: refusing_base_url})
        return result | {"refused": await spoken(page, address, OTHER)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201
