"""The list of models, and their names in errors, are the caller's own."""

import asyncio
import json
import re
from typing import Any

import pytest
from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.server import middleware


@pytest.mark.parametrize(("models", "listed"), [(None, True), (frozenset({"d/n"}), True), (frozenset({"x/y"}), False)])
async def test_names_are_those_that_the_caller_may_use(
    wire: Any, monkeypatch: pytest.MonkeyPatch, models: frozenset[str] | None, *, listed: bool
) -> None:
    async def authenticate(*_: Any) -> Caller:
        return Caller("acme", models=models)

    monkeypatch.setattr(middleware, "authenticate", authenticate)
    async with wire.gateway(wire.speaking()) as (port, _):
        names, _ = await wire.send(port, b"GET /v1/models HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
        answer, _ = await wire.send(port, wire.post(b'{"model":"nothing","input":"hi"}'))
        spoken, _ = await wire.send(port, wire.post())
    assert (b"d/n" in names, b"d/n" in answer) == (listed, listed)
    assert spoken.startswith(b"HTTP/1.1 200" if listed else b"HTTP/1.1 404")


NAMED = {"aliases": ("tts-1", "tts-1-hd"), "voices": {"alloy": "random"}}


async def got(wire: Any, port: int, path: str) -> tuple[bytes, Any]:
    answer, _ = await wire.send(port, f"GET {path} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b" ")[1], json.loads(body) if b"application/json" in head else body


async def test_lists_have_the_forms_that_clients_read(wire: Any) -> None:
    async with wire.gateway(named=NAMED) as (port, _):
        _, models = await got(wire, port, "/v1/models")
        _, audio_models = await got(wire, port, "/v1/audio/models/")
        _, alias = await got(wire, port, "/v1/models/tts-1")
        _, full = await got(wire, port, "/v1/models/d/n/")
        health = await got(wire, port, "/health")
        unready, _ = await got(wire, port, "/v1/readyz")
        root, _ = await got(wire, port, "/v1/")
    names = ["m", "tts-1", "tts-1-hd", "d/n"]
    assert [each["id"] for each in models["data"]] == names
    assert {each["root"] for each in models["data"]} == {"m"}
    assert audio_models == {"models": [{"id": name} for name in names]}
    assert [each["id"] for each in alias["voices"]] == ["default", "random", "alloy"]
    assert (alias["id"], full["id"]) == ("tts-1", "d/n")
    assert health == (b"200", b"OK")
    assert unready == b"404", "clients of LocalAI take any other answer for theirs"
    assert root == b"200"


@pytest.mark.parametrize(
    ("declared", "reported", "listed", "of_voices"),
    [((), (), None, "en"), ((), ("zh", "en"), ["zh", "en"], "zh"), (("de",), ("zh",), ["de"], "de")],
)
async def test_languages_are_listed_while_every_region_sleeps(
    wire: Any, declared: tuple[str, ...], reported: tuple[str, ...], listed: list[str] | None, of_voices: str
) -> None:
    """They are the resource's, or what servers reported before they went; a list wakes nothing."""
    async with wire.gateway(wire.speaking(), named=NAMED | {"languages": declared}) as (port, gateway):
        wire.report(gateway, state="loading")
        wire.report(gateway, state="ready", languages=reported)
        gateway.fleet.pods_behind = lambda _: ()
        gateway.fleet.refresh()
        _, models = await got(wire, port, "/v1/models")
        _, one = await got(wire, port, "/v1/models/tts-1")
        assert not gateway.fleet.regions[wire.key].pods
        assert gateway.fleet.would_wake(wire.key), "nothing has asked for a wake"
    assert [each.get("languages") for each in models["data"]] == [listed] * 4
    assert one.get("languages") == listed
    assert [(each["name"], each["language"]) for each in one["voices"]] == [
        (name, of_voices) for name in ("default", "random", "alloy")
    ]


async def test_an_alias_reaches_the_pod_as_the_served_model_with_the_table_s_voice(wire: Any) -> None:
    bodies: list[bytes] = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
        bodies.append(await reader.readexactly(length))
        writer.write(wire.ok + b"Content-Length: 1\r\n\r\nx")
        await writer.drain()
        writer.close()

    async with wire.gateway(pod, named=NAMED) as (port, gateway):
        for body in (b'{"model":"tts-1","input":"hi","voice":{"id":"alloy"}}', b'{"model":"m","input":"hi"}'):
            answer, _ = await wire.send(port, wire.post(body, path=b"/v1/audio/speech/"))
            assert answer.startswith(b"HTTP/1.1 200")
        assert gateway.speech.bodies.used_bytes == 0
    assert json.loads(bodies[0]) == {"model": "m", "input": "hi", "voice": "random"}
    assert bodies[1] == b'{"model":"m","input":"hi"}', "a request that names nothing else is passed on as it is"


async def test_before_the_models_are_read_none_is_unknown(wire: Any) -> None:
    get = b"GET /v1/models HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n"
    async with wire.gateway(wire.speaking()) as (port, gateway):
        gateway.watches[0].synced.clear()
        answers = [await wire.send(port, data) for data in (wire.post(b'{"model":"x","input":"hi"}'), get)]
    for answer, _ in answers:
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1\r\n" in answer
        assert b'"code": "gateway_starting"' in answer


async def test_a_404_names_at_most_ten_models(wire: Any) -> None:
    async with wire.gateway(wire.speaking()) as (port, gateway):
        registry = gateway.fleet.registry()
        (model,) = registry.entries.values()
        for number in range(100):
            registry.put(model.model_copy(update={"name": f"other-{number}", "model": f"m{number}"}))
        answer, _ = await wire.send(port, wire.post(b'{"model":"nothing","input":"hi"}'))
    assert answer.startswith(b"HTTP/1.1 404")
    assert 0 < answer.count(b"other-") <= 10
    assert len(answer) < 1000
