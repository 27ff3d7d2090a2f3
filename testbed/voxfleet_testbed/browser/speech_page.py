"""What several tests of the speech page do: read a figure, record the marked sentences, wait for the end of a speech.

Knows: the page's elements. Does not know: servers, engines.
"""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from voxfleet_testbed.browser.chromium import PAGE_SECONDS

# Keeps each sentence that is marked, once, in `marked`.
RECORD_MARKS = """window.marked = [];
new MutationObserver(() => {
    const text = document.querySelector("mark")?.textContent;
    if (text && text !== marked.at(-1)) marked.push(text);
}).observe(document.body, {subtree: true, childList: true, characterData: true});"""


async def figure(page: Page, name: str) -> float:
    """Return a figure of the last speech, once it is known."""
    shown = page.locator(f'[data-figure="{name}"]')
    await expect(shown).to_have_text(re.compile(r"\d"))
    return float(re.sub(r"[^\d.]", "", await shown.inner_text()))


async def wait_for_the_end(page: Page) -> None:
    """Wait until a speech can be played again: it has been played to its end."""
    again = page.get_by_role("button", name="Play again").and_(page.locator(":enabled"))
    await again.wait_for(timeout=2 * PAGE_SECONDS * 1000)
