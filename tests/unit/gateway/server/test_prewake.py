"""What announces a request wakes its region; what does not, wakes nothing."""

from typing import Any

import pytest

PAGE = b"Sec-Fetch-Dest: document\r\n"


def get(path: bytes, extra: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: g\r\nConnection: close\r\n%s\r\n" % (path, extra)


@pytest.mark.parametrize(
    ("path", "extra", "wakes"),
    [
        (b"/v1/", b"", True),
        (b"/v1", b"", True),
        (b"/", PAGE, True),
        (b"/", b"User-Agent: GoogleHC/1.0\r\n", False),
        (b"/", b"Sec-Fetch-Dest: iframe\r\n", False),
        (b"/v1/models", b"", False),
        (b"/fleet", PAGE, False),
    ],
)
async def test_which_requests_wake(wire: Any, path: bytes, extra: bytes, wakes: bool) -> None:  # noqa: FBT001
    async with wire.gateway() as (port, gateway):
        answer, _ = await wire.send(port, get(path, extra))
        traffic = gateway.fleet.regions[wire.key].traffic
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert traffic.is_wake_requested is wakes
    assert (traffic.waking_since_seconds is not None) is wakes


async def test_a_region_that_is_awake_is_left_as_it_is(wire: Any) -> None:
    async with wire.gateway(wire.speaking()) as (port, gateway):
        await wire.send(port, get(b"/v1/"))
        assert not gateway.fleet.regions[wire.key].traffic.is_wake_requested


async def test_of_several_models_the_one_that_was_used_last_wakes(wire: Any) -> None:
    async with wire.gateway() as (port, gateway):
        registry = gateway.fleet.registry()
        (model,) = registry.entries.values()
        registry.put(model.model_copy(update={"name": "other", "model": "other"}))
        gateway.fleet.refresh()
        traffic = gateway.fleet.regions[wire.key].traffic
        await wire.send(port, get(b"/v1/"))
        assert not traffic.is_wake_requested, "which one is unknown"
        gateway.speech.recent.record("", "d/n")
        await wire.send(port, get(b"/v1/"))
        assert traffic.is_wake_requested


async def test_a_speech_request_is_remembered_as_its_tenant_s_last_model(wire: Any) -> None:
    async with wire.gateway(wire.speaking()) as (port, gateway):
        await wire.send(port, wire.post())
        assert gateway.speech.recent.by_tenant == {"": "d/n"}


AUTH = b"Authorization: Bearer all\r\n"


@pytest.mark.parametrize(
    ("path", "extra", "status", "wakes"),
    [
        (b"/v1/", AUTH, 200, True),
        (b"/v1/", b"", 200, False),
        (b"/v1/", b"Authorization: Bearer none\r\n", 200, False),
        (b"/", PAGE + AUTH, 200, False),
        (b"/", PAGE, 200, False),
    ],
)
async def test_where_keys_are_required_only_a_key_wakes(
    wire: Any, keyed: Any, path: bytes, extra: bytes, status: int, *, wakes: bool
) -> None:
    async with keyed(rules={"public_catalog": True}) as there:
        answer, _ = await wire.send(there.port, get(path, extra))
        assert there.gateway.fleet.regions[wire.key].traffic.is_wake_requested is wakes
    assert int(answer.split()[1]) == status


async def test_beyond_the_wake_budget_nothing_wakes_ahead(wire: Any, keyed: Any) -> None:
    async with keyed(limits={"wakesPerHour": 0}) as there:
        answer, _ = await wire.send(there.port, get(b"/v1/", AUTH))
        traffic = there.gateway.fleet.regions[wire.key].traffic
        assert (traffic.is_wake_requested, traffic.waking_since_seconds) == (False, None)
    assert answer.startswith(b"HTTP/1.1 200 ")
