"""The page at `/`: self-contained, allowed by its own policy, and usable with a screen reader."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

OWN_VALUES = {"v1/audio/speech", "v1/audio/voices", "v1/models"}


class Elements(HTMLParser):
    """Every element with its attributes, and the text of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.lasttag in {"script", "style"}:
            self.inside[self.lasttag] = self.inside.get(self.lasttag, "") + data

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture
async def answer(server: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return await client.get("/")


async def test_the_policy_allows_what_the_page_does_and_nothing_else(answer: httpx.Response) -> None:
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    page = answer.text
    for element in ("script", "style"):
        (inside,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_it_loads_nothing_from_other_servers(answer: httpx.Response) -> None:
    found = Elements(answer.text)
    for _, attributes in found.elements:
        assert not {"src", "href", "style", "action"} & attributes.keys(), attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert "//" not in re.sub(r"(^|\s)// .*", "", found.inside["script"])
    assert set(re.findall(r'fetch\("([^"]+)"', found.inside["script"])) == OWN_VALUES
    assert "innerHTML" not in found.inside["script"]
    assert "url(" not in found.inside["style"]


async def test_every_control_has_an_accessible_name(answer: httpx.Response) -> None:
    found = Elements(answer.text)
    assert found.of("html")[0]["lang"] == "en"
    labelled = {attributes["for"] for attributes in found.of("label")}
    assert {attributes["id"] for attributes in found.of("input", "select", "textarea")} == labelled
    assert labelled == {"text", "voice", "speed", "seed", "key"}
    assert all("aria-label" in attributes for attributes in found.of("audio"))
    (note,) = [attributes for attributes in found.of("p") if attributes.get("id") == "note"]
    assert (note["role"], note["aria-live"]) == ("status", "polite")
    assert {attributes.get("lang") for attributes in found.of("button")} >= {"en", "zh"}


async def test_it_names_the_model_once_escaped(start_server: Any, tone_model: Any, wait_until: Any) -> None:
    async with start_server(tone_model, model_name="a/b:c-1") as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        async with httpx.AsyncClient(base_url=server.url) as client:
            page = (await client.get("/")).text
    assert Elements(page).of("body")[0]["data-model"] == "a/b:c-1"
    assert "{{" not in page
