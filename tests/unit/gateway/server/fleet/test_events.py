"""The fleet page's snapshot and stream: what they say, to which key, and what bounds them."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.regions import CostEntry
from voxfleet_gateway.server.fleet import events
from voxfleet_gateway.server.fleet.contract import FleetChange, FleetSnapshot

COST = CostEntry(as_of="2026-11-30T00:00:00Z", month="2026-11", paid=3.5)


async def test_a_snapshot_is_of_the_contract(wire: Any, call: Any) -> None:
    async with wire.gateway(wire.speaking(), latitude=50.1, longitude=8.7, price_per_gpu_hour=1.5) as (port, _):
        await wire.send(port, wire.post())
        status, body = await call(port, "/v1/fleet")
    snapshot = FleetSnapshot.model_validate_json(json.dumps(body))
    (region,), (decision,) = snapshot.regions, snapshot.decisions
    assert status == 200
    assert (region.phase, region.known_by, region.is_here) == ("Awake", "pods", True)
    assert (region.place.latitude if region.place else None, region.price_per_gpu_hour) == (50.1, 1.5)
    assert [(each.pool, each.ready) for each in region.pools] == [("unknown", 1)]
    assert (decision.action, decision.route, decision.region) == ("serve", "nearest", "eu")
    assert [(reason.code, reason.params) for reason in decision.reasons] == [("nearest", {"region": "eu"})]
    assert [each.reason.code for each in decision.regions] == ["serves-now"]
    assert not snapshot.may_operate


async def test_a_request_that_wakes_is_followed_until_its_region_is_awake(wire: Any, fleet_stream: Any) -> None:
    async with wire.gateway(keep_reporting=True) as (port, gateway), fleet_stream(port) as stream:
        kind, first = await stream.next()
        assert (kind, first["regions"][0]["phase"]) == ("snapshot", "Asleep")
        asking = asyncio.create_task(wire.send(port, wire.post(extra=b"Prefer: wait=30\r\n"), wait=60))
        held = await stream.until(lambda data: data["regions"] and data["regions"][0]["phase"] == "Waking")
        FleetChange.model_validate_json(json.dumps(held))
        assert held["regions"][0]["held_requests"] == 1
        assert held["regions"][0]["wake"]["parts"][0] == {
            "name": "node", "state": "current", "seconds": None, "expected_seconds": None,
        }  # fmt: skip
        assert [each["route"] for each in held["decisions"]] == ["hold-wake"]
        (identity,) = [each["id"] for each in held["decisions"]]

        server = await asyncio.start_server(wire.speaking(), "127.0.0.1", 0)
        pod = server.sockets[0].getsockname()[1]
        wire.serve(gateway, pod, "loading")
        parts = (await stream.until(lambda data: _part(data) == "weights"))["regions"][0]["wake"]["parts"]
        assert [part["state"] for part in parts] == ["done"] * 4 + ["current", "pending"]
        wire.serve(gateway, pod, "ready")
        awake = await stream.until(lambda data: data["regions"] and data["regions"][0]["phase"] == "Awake")
        answer, _ = await asking
        assert answer.startswith(b"HTTP/1.1 200")
        later = awake if awake["decisions"] else await stream.until(lambda data: data["decisions"])
        assert [(each["id"], each["action"]) for each in later["decisions"]] == [(identity, "serve")]
        server.close()


def _part(data: dict[str, Any]) -> str:
    wake = data["regions"][0]["wake"] if data["regions"] else None
    return next((part["name"] for part in wake["parts"] if part["state"] == "current"), "") if wake else ""


async def test_a_quiet_fleet_sends_keep_alives_only(wire: Any, fleet_stream: Any) -> None:
    async with wire.gateway() as (port, gateway):
        gateway.fleet_page.events.keep_alive_seconds = 0.05
        async with fleet_stream(port) as stream:
            assert (await stream.next())[0] == "snapshot"
            assert [await stream.next() for _ in range(20)] == [("", {})] * 20


async def test_a_region_that_leaves_is_followed_by_a_snapshot(wire: Any, fleet_stream: Any) -> None:
    async with wire.gateway() as (port, gateway), fleet_stream(port) as stream:
        await stream.next()
        (model,) = gateway.fleet.registry().entries.values()
        gateway.fleet.registry().remove(model)
        gateway.fleet.refresh()
        kind, data = await stream.next()
        assert (kind, data["regions"]) == ("snapshot", [])


async def test_a_key_reads_its_own_models_and_decisions(wire: Any, keyed: Any, call: Any) -> None:
    async with keyed(wire.speaking(), cost=COST) as there:
        await there.speak("all")
        assert (await call(there.port, "/v1/fleet"))[0] == 401
        rows = {key: (await call(there.port, "/v1/fleet", key))[1] for key in ("all", "one", "none", "op")}
    assert {key: len(body["regions"]) for key, body in rows.items()} == {"all": 1, "one": 1, "none": 0, "op": 1}
    # "one" is another tenant's key, and "op" one of a third tenant that may operate.
    assert {key: len(body["decisions"]) for key, body in rows.items()} == {"all": 1, "one": 0, "none": 0, "op": 1}
    assert [rows[key]["decisions"][0]["tenant"] for key in ("all", "op")] == [None, "acme"]
    assert [rows[key]["regions"][0]["cost"] for key in ("all", "one")] == [None, None]
    assert rows["op"]["regions"][0]["cost"]["paid"] == 3.5


async def test_streams_are_bounded_and_half_are_for_operators(keyed: Any, fleet_stream: Any, call: Any) -> None:
    async with keyed(settings={"max_fleet_streams": 2}) as there:
        async with fleet_stream(there.port, "all"):
            status, body = await call(there.port, "/v1/fleet/events", "all")
            assert (status, body["error"]["code"]) == (503, "fleet_streams_full")
            async with fleet_stream(there.port, "op"):
                assert (await call(there.port, "/v1/fleet/events", "op"))[0] == 503
        async with fleet_stream(there.port, "all") as again:
            assert (await again.next())[0] == "snapshot"


async def test_a_revoked_key_ends_its_stream(keyed: Any, fleet_stream: Any) -> None:
    async with keyed() as there:
        there.gateway.fleet_page.events.keep_alive_seconds = 0.05
        async with fleet_stream(there.port, "all") as stream:
            await stream.next()
            there.gateway.speech.accounts.store.ring = type(there.gateway.speech.accounts.store.ring)()
            with pytest.raises(EOFError):
                await stream.until(lambda _: False)


async def test_a_gateway_that_drains_ends_its_streams(wire: Any, fleet_stream: Any, call: Any) -> None:
    async with wire.gateway() as (port, gateway), fleet_stream(port) as stream:
        await stream.next()
        gateway.health.is_draining = True
        with pytest.raises(EOFError):
            await stream.until(lambda _: False)
        assert gateway.health.open_requests == 0
        assert (await call(port, "/v1/fleet/events"))[0] == 503


async def test_a_client_that_reads_nothing_is_cut_and_keeps_little(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(events, "TICK_SECONDS", 0.01)
    async with wire.gateway() as (port, gateway):
        (model,) = gateway.fleet.registry().entries.values()
        regions = [_failed(model, number) for number in range(200)]
        fields = model.model_dump(by_alias=True) | {"name": "big", "regions": regions}
        gateway.fleet.registry().put(type(model).model_validate(fields))
        gateway.fleet.refresh()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /v1/fleet/events HTTP/1.1\r\nHost: g\r\n\r\n")
        streams = gateway.fleet_page.events.streams
        async with asyncio.timeout(30):
            while not streams:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while streams:
                for key in gateway.fleet.regions:
                    gateway.fleet.regions[key].traffic.start_wake(0.0)
                    gateway.fleet.regions[key].traffic.end_wake(gateway.fleet.clock())
                    gateway.fleet_page.events.audience.feed.mark(key)
                await asyncio.sleep(0.01)
        assert len(gateway.fleet_page.events.audience.frames) <= 1
        writer.close()
        del reader


def _failed(model: Any, number: int) -> Any:
    return model.regions[0].model_dump() | {"name": f"r-{number}", "phase": "Failed", "message": "x" * 2000}


async def test_equal_rights_share_one_event(wire: Any, fleet_stream: Any) -> None:
    async with wire.gateway() as (port, gateway), fleet_stream(port) as one, fleet_stream(port) as other:
        first, second = await one.next(), await other.next()
        assert first == second
        assert len(gateway.fleet_page.events.audience.frames) == 1


async def test_a_foreign_page_reads_nothing(wire: Any) -> None:
    async with (
        wire.gateway() as (port, _),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/v1/fleet", headers={"Origin": "https://evil.example"}) as response,
    ):
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"
