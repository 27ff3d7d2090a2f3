"""The list of models, and their names in errors, are the caller's own."""

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
