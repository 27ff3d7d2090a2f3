"""The page of a speech server in Chromium: accessible, without an error, and allowed by its own policy."""

from typing import Any

import pytest


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_is_accessible_and_asks_only_its_server(
    server: Any, open_page: Any, language: str, scheme: str
) -> None:
    opened = await open_page(server.url("/"), language=language, scheme=scheme)
    assert await opened.page.evaluate("document.documentElement.lang") == language
    assert await opened.page.evaluate("document.documentElement.dataset.mantineColorScheme") == scheme
    assert await opened.accessibility_violations() == []


async def test_the_policy_lets_a_page_open_a_websocket_to_its_server_and_no_other_connection(
    server: Any, open_page: Any
) -> None:
    opened = await open_page(server.url("/"))
    connect = """url => new Promise(resolve => {
        const socket = new WebSocket(url);
        socket.onopen = () => { socket.close(); resolve("open"); };
        socket.onerror = () => resolve("refused");
    })"""
    own = server.url("/v1/audio/speech/stream").replace("http:", "ws:")
    assert await opened.page.evaluate(connect, own) == "open"
    assert not opened.problems
    assert await opened.page.evaluate(connect, own.replace("127.0.0.1", "127.0.0.2")) == "refused"
    assert [each for each in opened.problems if "Content Security Policy" in each]
    opened.forgive("127.0.0.2")
