"""The renewer: one renewal at once for a wake, again after failures, none when nothing is due."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from voxfleet_gateway.cluster import lease_renewer as lease_renewer_module
from voxfleet_gateway.cluster.lease_renewer import LeaseRenewer
from voxfleet_gateway.cluster.lease_watch import LeaseWatch
from voxfleet_gateway.decisions.demand_lease import format_time, parse_time
from voxfleet_gateway.errors import ClusterConflictError, ClusterUnavailableError
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry

KEY = RegionKey("default", "narrator", "eu")
REGION = RegionEntry(name="eu", lease=ObjectRef(namespace="demand", name="lease"))
MODEL = ModelEntry(
    schema="voxfleet.dev/registry/v1", namespace="default", name="narrator", model="m", regions=(REGION,)
)


class Api:
    """One Lease, with resourceVersions, and failures on demand."""

    def __init__(self) -> None:
        self.version = 1
        self.spec: dict[str, Any] = {"leaseDurationSeconds": 60}
        self.failures: list[Exception] = []
        self.patches = 0

    def lease(self) -> dict[str, Any]:
        return {
            "metadata": {"namespace": "demand", "name": "lease", "resourceVersion": str(self.version)},
            "spec": dict(self.spec),
        }

    def renewed_by_another_gateway(self, at: datetime) -> None:
        self.version += 1
        self.spec["renewTime"] = format_time(at)

    async def get(self, _path: str, _query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self.lease()

    async def merge_patch(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        if self.failures:
            raise self.failures.pop(0)
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise ClusterConflictError("409")
        self.patches += 1
        self.version += 1
        self.spec |= body["spec"]
        return self.lease()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_renewer_module, "FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(lease_renewer_module, "CHECK_SECONDS", 0.02)


@asynccontextmanager
async def renewing_leases(api: Api) -> AsyncIterator[LeaseRenewer]:
    leases = LeaseWatch(api, "gateway-1", lambda _leases: None)
    leases.replaced([api.lease()])
    registry = Registry.of([MODEL])
    fleet = Fleet(lambda: registry, lambda _service: (), lambda: leases.leases)
    fleet.refresh()
    renewer = LeaseRenewer(fleet, leases)
    task = asyncio.create_task(renewer.run())
    yield renewer
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a test watches from outside
            await asyncio.sleep(0.005)


def wake(renewer: LeaseRenewer) -> None:
    renewer.fleet.request_wake(KEY)
    renewer.notify(KEY)


async def test_a_wake_is_one_renewal_at_once() -> None:
    api = Api()
    async with renewing_leases(api) as renewer:
        for _ in range(50):
            wake(renewer)
        await until(lambda: api.patches > 0 and not renewer.tracked)  # nothing is left to check
        assert api.patches == 1
        assert api.spec["holderIdentity"] == "gateway-1"


async def test_failures_are_repeated_until_it_is_renewed() -> None:
    api = Api()
    api.failures = [ClusterUnavailableError("away")] * 3
    async with renewing_leases(api) as renewer:
        wake(renewer)
        await until(lambda: api.patches > 0 and not renewer.tracked)
    assert api.patches == 1


async def test_a_renewal_by_another_gateway_makes_ours_unnecessary() -> None:
    api = Api()
    async with renewing_leases(api) as renewer:
        api.renewed_by_another_gateway(datetime.now(UTC))
        wake(renewer)
        await until(lambda: not renewer.tracked)
    assert api.patches == 0


async def test_a_conflict_with_a_write_that_renewed_nothing_is_repeated() -> None:
    api = Api()
    async with renewing_leases(api) as renewer:
        api.version += 1
        wake(renewer)
        await until(lambda: api.patches > 0 and not renewer.tracked)
    assert api.patches == 1


async def test_a_busy_region_is_renewed_in_time_and_once_more_at_the_end() -> None:
    api = Api()
    api.spec |= {"renewTime": format_time(datetime.now(UTC) - timedelta(seconds=25))}
    async with renewing_leases(api) as renewer:
        traffic = renewer.fleet.regions[KEY].traffic
        traffic.open_requests = 1
        renewer.notify(KEY)
        await until(lambda: api.patches == 1)  # a third of the duration has passed
        traffic.open_requests = 0
        traffic.record_end(1.0, datetime.now(UTC))
        await until(lambda: api.patches == 2)
        renewed = parse_time(api.spec["renewTime"])
        assert renewed is not None
        assert traffic.last_finished is not None
        assert renewed > traffic.last_finished


async def test_a_region_that_is_gone_is_forgotten() -> None:
    # Proves that the renewer stops tracking it: `until` raises TimeoutError otherwise.
    async with renewing_leases(Api()) as renewer:
        renewer.notify(RegionKey("default", "narrator", "moon"))
        await until(lambda: not renewer.tracked)
