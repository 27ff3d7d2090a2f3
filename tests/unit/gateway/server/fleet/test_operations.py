"""Wakes and sleeps of named regions: which keys may, what is written, what is answered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from voxfleet_gateway.decisions.demand_lease import SLEEP_AT, parse_lease, parse_time
from voxfleet_gateway.errors import ClusterConflictError, ClusterUnavailableError

LEASE_REF = {"namespace": "demand", "name": "n-eu"}
SLEEP, WAKE = "/v1/models/m/sleep", "/v1/models/m/wake"


class LeaseApi:
    """An API server with one Lease; `failures` are raised first."""

    def __init__(self, *failures: Exception, renewed_at: datetime | None = None) -> None:
        renewed = renewed_at or datetime.now(UTC) - timedelta(seconds=30)
        self.failures = [*failures]
        self.patches: list[dict[str, Any]] = []
        self.lease: dict[str, Any] = {
            "metadata": {**LEASE_REF, "resourceVersion": "7", "annotations": {}},
            "spec": {"leaseDurationSeconds": 60, "renewTime": renewed.isoformat()},
        }

    async def get(self, _path: str, _query: Any = None) -> dict[str, Any]:
        return self.lease

    async def merge_patch(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop(0)
        self.patches.append(body)
        self.lease["metadata"]["annotations"] |= body["metadata"].get("annotations", {})
        self.lease["spec"] |= body.get("spec", {})
        self.lease["metadata"]["resourceVersion"] = str(int(self.lease["metadata"]["resourceVersion"]) + 1)
        return self.lease


def connect(gateway: Any, api: LeaseApi) -> Any:
    leases = gateway.fleet_page.operations.leases
    leases.api = api
    leases.changed(api.lease)
    return leases


async def test_a_sleep_annotates_the_lease_later_than_every_renewal(keyed: Any, call: Any) -> None:
    async with keyed(lease=LEASE_REF) as there:
        api = LeaseApi(ClusterConflictError("conflict"), renewed_at=datetime.now(UTC) + timedelta(seconds=3))
        connect(there.gateway, api)
        status, body = await call(there.port, SLEEP, "op", "POST", region="eu")
        (patch,) = api.patches
        lease = parse_lease(api.lease)
        assert (status, body["region"], body["state"]) == (202, "eu", "asked")
        assert patch["metadata"]["annotations"][SLEEP_AT].endswith("Z")
        assert parse_time(body["asked_at"]) == lease.sleep_at
        assert lease.sleep_at is not None
        assert lease.renew_time is not None
        assert lease.sleep_at > lease.renew_time, "a clock that is behind the renewal's writer must not void it"
        assert "spec" not in patch
        row = (await call(there.port, "/v1/fleet", "op"))[1]["regions"][0]
        assert (row["phase"], row["sleep_asked_at"]) == ("Asleep", None), "it sleeps already"


async def test_an_end_that_no_renewal_has_reported_is_reported_with_the_sleep(keyed: Any, call: Any) -> None:
    async with keyed(lease=LEASE_REF) as there:
        api = LeaseApi()
        connect(there.gateway, api)
        (region,) = there.gateway.fleet.regions.values()
        region.traffic.last_finished = datetime.now(UTC)
        assert (await call(there.port, SLEEP, "op", "POST", region="eu"))[0] == 202
        lease = parse_lease(api.lease)
        assert lease.renew_time == region.traffic.last_finished
        assert lease.is_sleep_asked_at(datetime.now(UTC))
        assert not there.gateway.lease_renewer._due(region.key)


@pytest.mark.parametrize(
    ("key", "path", "body", "status", "code"),
    [
        ("all", SLEEP, {"region": "eu"}, 403, "operation_forbidden"),
        ("all", WAKE, {"region": "eu"}, 403, "operation_forbidden"),
        ("op", SLEEP, {"region": "mars"}, 404, "region_not_found"),
        ("op", SLEEP, {"model": "m"}, 400, "invalid_value"),
        ("op", SLEEP, {"region": 7}, 400, "invalid_value"),
        ("op", "/v1/models/x/sleep", {"region": "eu"}, 404, "model_not_found"),
        ("", SLEEP, {"region": "eu"}, 401, "missing_api_key"),
        ("op", SLEEP, {"region": "eu"}, 503, "lease_unavailable"),
        ("op", WAKE, {"region": "eu"}, 202, None),
        ("all", WAKE, {}, 202, None),
    ],
)
async def test_which_request_does_what(
    keyed: Any, call: Any, wire: Any, key: str, path: str, body: Any, status: int, code: str | None
) -> None:
    async with keyed() as there:
        answered, data = await call(there.port, path, key, "POST", **body)
        assert (answered, data.get("error", {}).get("code")) == (status, code), data
        is_woken = there.gateway.fleet.regions[wire.key].traffic.waking_since_seconds is not None
        assert is_woken is (path == WAKE and status == 202)


async def test_a_region_with_requests_does_not_sleep(keyed: Any, call: Any) -> None:
    async with keyed(lease=LEASE_REF) as there:
        connect(there.gateway, LeaseApi())
        (region,) = there.gateway.fleet.regions.values()
        region.traffic.open_requests = 2
        status, body = await call(there.port, SLEEP, "op", "POST", region="eu")
        region.traffic.open_requests = 0
        assert (status, body["error"]["code"]) == (409, "region_busy")
        assert "2 open and 0 held" in body["error"]["message"]


async def test_an_api_server_that_is_away_is_said(keyed: Any, call: Any) -> None:
    async with keyed(lease=LEASE_REF) as there:
        connect(there.gateway, LeaseApi(ClusterUnavailableError("away")))
        status, body = await call(there.port, SLEEP, "op", "POST", region="eu")
        assert (status, body["error"]["code"]) == (503, "lease_unavailable")


@pytest.mark.parametrize("allowed", [True, False])
async def test_without_keys_a_setting_decides(wire: Any, call: Any, *, allowed: bool) -> None:
    async with wire.gateway(settings={"operate_without_key": allowed}) as (port, _):
        assert (await call(port, "/v1/fleet"))[1]["may_operate"] is allowed
        status, body = await call(port, WAKE, "", "POST", region="eu")
        assert status == (202 if allowed else 403)
        assert allowed or "VOXFLEET_OPERATE_WITHOUT_KEY" in body["error"]["message"]


async def test_a_suspended_region_is_not_woken(wire: Any, call: Any) -> None:
    async with wire.gateway(settings={"operate_without_key": True}, suspended=True) as (port, _):
        status, body = await call(port, WAKE, "", "POST", region="eu")
        assert (status, body["error"]["code"]) == (503, "suspended")
