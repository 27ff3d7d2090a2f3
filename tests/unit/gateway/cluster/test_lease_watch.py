"""The copy of the Leases never goes back to an older version."""

from collections.abc import Mapping
from typing import Any

from voxfleet_gateway.cluster.lease_watch import LeaseWatch


def lease(version: int) -> dict[str, Any]:
    metadata = {"namespace": "demand", "name": "lease", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {"leaseDurationSeconds": 60}}


class Api:
    """Responds to every call with one version of a Lease."""

    def __init__(self, version: int) -> None:
        self.version = version

    async def get(self, _path: str, _query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return lease(self.version)

    async def merge_patch(self, _path: str, _body: dict[str, Any]) -> dict[str, Any]:
        return lease(self.version)


async def test_an_older_version_never_replaces_a_newer_one() -> None:
    leases = LeaseWatch(Api(1), "gateway-1", lambda _leases: None)
    leases.changed(lease(2))
    await leases.refresh(leases.leases["demand", "lease"])
    assert leases.leases["demand", "lease"].resource_version == "2"


async def test_a_newer_response_is_kept_before_the_watch_delivers_it() -> None:
    leases = LeaseWatch(Api(3), "gateway-1", lambda _leases: None)
    leases.changed(lease(2))
    await leases.refresh(leases.leases["demand", "lease"])
    assert leases.leases["demand", "lease"].resource_version == "3"
