"""Starts Firefox and stands between it and Playwright: answers the commands of WebDriver BiDi that Firefox lacks.

Playwright drives an unpatched Firefox over BiDi, and sends emulation.setMediaFeaturesOverride for every context, which
Firefox 153 refuses; its preferences say the same (firefox.py). Run as a program in Firefox's place, with its arguments.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from typing import cast

import aiohttp
from aiohttp import web

FIREFOX = "/usr/bin/firefox-esr"
ANSWERED = frozenset({"emulation.setMediaFeaturesOverride"})
LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


def own_answer(message: str) -> str | None:
    """Return the response to a command that Firefox lacks; None for one that it has."""
    command = json.loads(message)
    if command["method"] not in ANSWERED:
        return None
    return json.dumps({"type": "success", "id": command["id"], "result": {}})


async def relay(client: web.WebSocketResponse, firefox: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until either side closes."""

    async def pass_back() -> None:
        async for message in firefox:
            await client.send_str(message.data)
        await client.close()

    passing = asyncio.create_task(pass_back())
    async for message in client:
        answer = own_answer(message.data)
        await (client.send_str(answer) if answer else firefox.send_str(message.data))
    await firefox.close()
    await passing


async def start_relay(firefox_url: str) -> str:
    """Listen on a free port; return the URL that stands for Firefox's."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(firefox_url + request.path, max_msg_size=0) as firefox,
        ):
            await relay(client, firefox)
        return client

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"ws://127.0.0.1:{runner.addresses[0][1]}"


async def main(arguments: list[str]) -> int:
    """Run Firefox; its standard error, with the relay's URL in place of its own, is this program's."""
    firefox = await asyncio.create_subprocess_exec(FIREFOX, *arguments, stderr=asyncio.subprocess.PIPE)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, firefox.terminate)
    async for line in cast("asyncio.StreamReader", firefox.stderr):
        text = line.decode(errors="replace")
        if found := LISTENING.search(text):
            text = text.replace(found[1], await start_relay(found[1]))
        sys.stderr.write(text)
        sys.stderr.flush()
    return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
