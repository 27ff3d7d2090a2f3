"""The panel for programs: what it shows speaks when it is copied into a shell or into Python."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from playwright.async_api import expect


async def run(*command: str, folder: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(120):
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-1000:]
    audio = folder / "hello.mp3"
    assert audio.stat().st_size > 1000
    audio.unlink()


async def test_what_the_panel_shows_speaks(server: Any, open_page: Any, tmp_path: Path) -> None:
    opened = await open_page(server.url("/"))
    page = opened.page
    panel = page.get_by_role("region", name="Use it from your program")
    base_url = panel.get_by_role("region", name="Base URL")
    await expect(base_url).to_have_text(server.url("/v1"))
    await expect(panel).to_contain_text("Names of the model: ")
    await run("bash", "-c", await panel.get_by_role("region", name="curl").inner_text(), folder=tmp_path)
    python = await panel.get_by_role("region", name="Python, OpenAI's package").inner_text()
    await run(sys.executable, "-c", python, folder=tmp_path)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await panel.get_by_role("button", name="Copy: Base URL").click()
    await expect(panel.get_by_role("status")).to_have_text("Copied: Base URL")
    assert await page.evaluate("navigator.clipboard.readText()") == server.url("/v1")
    assert await opened.accessibility_violations() == []
