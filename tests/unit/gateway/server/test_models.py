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
