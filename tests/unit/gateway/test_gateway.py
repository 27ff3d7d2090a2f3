"""The assembled gateway: how much work one held request causes, from its arrival to its end."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_gateway.decisions import snapshot
from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, ReceivedReport
from voxfleet_gateway.decisions.routing import RouteRequest
from voxfleet_gateway.gateway import Gateway, open_gateway
from voxfleet_gateway.pods import kept_standings
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import RegionKey, Registry
from voxfleet_gateway.request_context import new_context
from voxfleet_gateway.server.internal.load import load_body
from voxfleet_gateway.settings import Settings

EU = RegionKey("default", "narrator", "eu")
ADDRESS = PodAddress("10.0.0.1")


class Api:
    """Accepts every renewal."""

    def __init__(self) -> None:
        self.version = 1

    async def merge_patch(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        return lease(self.version, **body["spec"])


def lease(version: int, **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "demand", "name": "eu", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"leaseDurationSeconds": 60} | spec}


def config_map(*regions: str) -> dict[str, Any]:
    rows = [
        {
            "name": name,
            "service": {"namespace": "default", "name": name},
            "lease": {"namespace": "demand", "name": name},
        }
        for name in regions
    ]
    model = {"schema": "voxfleet.dev/registry/v1", "namespace": "default", "name": "narrator", "model": "m"}
    return {
        "metadata": {"namespace": "system", "name": "narrator"},
        "data": {"model.json": json.dumps(model | {"regions": rows})},
    }


def slice_of(address: PodAddress) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": "a", "labels": {"kubernetes.io/service-name": "eu"}}
    endpoint = {"addresses": [address.ip], "conditions": {"ready": False}}
    return {"metadata": metadata, "endpoints": [endpoint]}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of Registry.resolve and of region_view."""
    counted: Counter[str] = Counter()

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted_call(*arguments: Any) -> Any:
            counted[name] += 1
            return call(*arguments)

        return counted_call

    monkeypatch.setattr(Registry, "resolve", counting("resolve", Registry.resolve))
    monkeypatch.setattr(kept_standings, "region_view", counting("view", snapshot.region_view))
    monkeypatch.setattr("voxfleet_gateway.pods.load_poller.LoadPoller.follow", lambda _poller, _key: None)
    return counted


def report(gateway: Gateway, **fields: Any) -> None:
    received = ReceivedReport(LoadReport(**fields), {}, gateway.fleet.clock())
    gateway.fleet.record_report(EU, ADDRESS, received)


async def settled() -> None:
    """Let every task that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("regions", "resolves", "views"), [(("eu",), 2, 5), (("eu", "us"), 2, 7)])
async def test_one_held_request_resolves_the_registry_once_per_decision(
    regions: tuple[str, ...], resolves: int, views: int, counts: Counter[str]
) -> None:
    settings = Settings(region="eu", internal_key="key")  # type: ignore[arg-type]
    api: Any = Api()
    async with open_gateway(settings, api) as gateway:
        models, endpoints, leases, *_ = (watch.receiver for watch in gateway.watches)
        models.replaced([config_map(*regions)])
        leases.replaced([lease(1)])
        renewing = asyncio.create_task(gateway.lease_renewer.run())
        await settled()
        counts.clear()
        dispatcher = gateway.speech.dispatcher
        context, ticket = new_context("id", "POST", "/", "eu"), dispatcher.hold_queues.new_ticket(60)
        held = asyncio.create_task(dispatcher.find_target("m", RouteRequest("eu"), ticket, context))
        await settled()  # held; the Lease is renewed, which is one change
        assert api.version == 2
        endpoints.replaced([slice_of(ADDRESS)])  # the second change
        report(gateway, state="loading")  # the third
        report(gateway, state="ready", free_rows=4)  # the fourth, which releases the request
        target = await held
        with target.sending():
            await settled()
        await settled()
        renewing.cancel()
    assert (counts["resolve"], counts["view"]) == (resolves, views)
    assert context.decided is not None
    assert len(context.decided.views) == len(regions)


def model_map(number: int) -> dict[str, Any]:
    rows = [{"name": f"r{each}", "service": {"namespace": "d", "name": f"s{number}-{each}"}} for each in range(3)]
    model = {"schema": "voxfleet.dev/registry/v1", "namespace": "d", "name": f"n{number}", "model": f"m{number}"}
    metadata = {"namespace": "system", "name": f"n{number}"}
    return {"metadata": metadata, "data": {"model.json": json.dumps(model | {"regions": rows})}}


@pytest.mark.parametrize("models", [10, 200])
async def test_the_work_of_an_event_does_not_grow_with_the_fleet(models: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refreshed: list[str] = []
    refresh = Fleet._refresh_pods

    def counting(fleet: Any, region: Any) -> None:
        refreshed.append(region.key.region)
        refresh(fleet, region)

    monkeypatch.setattr(Fleet, "_refresh_pods", counting)
    api: Any = Api()
    settings = Settings(region="eu", internal_key="key")  # type: ignore[arg-type]
    async with open_gateway(settings, api) as gateway:
        registry, endpoints, leases, *_ = (watch.receiver for watch in gateway.watches)
        registry.replaced([model_map(number) for number in range(models)])
        counts = []
        for event, argument in (
            (registry.changed, model_map(3)),
            (endpoints.changed, slice_of(ADDRESS) | {"endpoints": None}),
            (endpoints.changed, service_slice("s3-1")),
            (leases.changed, lease(1)),
            (registry.deleted, model_map(3)),
        ):
            refreshed.clear()
            event(argument)
            counts.append(len(refreshed))
        names = gateway.fleet.registry().names()
        load = load_body(gateway.fleet, "g", "eu", 0.0)
    assert counts == [3, 0, 1, 0, 0]
    assert len(names) == 2 * (models - 1)
    assert load["models"] == [], "no request has arrived"


def service_slice(service: str) -> dict[str, Any]:
    metadata = {"namespace": "d", "name": service, "labels": {"kubernetes.io/service-name": service}}
    return {"metadata": metadata, "endpoints": []}
