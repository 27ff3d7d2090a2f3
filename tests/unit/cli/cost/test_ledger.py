"""Reading a status; the sums themselves are compared with the operator's in test_cost_contract.py."""

from datetime import UTC, datetime
from typing import Any

from voxfleet_cli.cost.ledger import read_ledger

AS_OF = datetime(2026, 11, 30, 23, tzinfo=UTC).timestamp()


def resource(**cost: Any) -> dict[str, Any]:
    status = {"cost": {"asOf": "2026-11-30T23:00:00.000000Z", **cost}} if cost else {}
    return {"metadata": {"namespace": "apps", "name": "narrator"}, "status": status}


def test_a_resource_without_costs() -> None:
    assert read_ledger(resource(), AS_OF) is None
    assert read_ledger({"metadata": {"namespace": "a", "name": "b"}}, AS_OF) is None


def test_time_since_as_of_is_added_to_its_months() -> None:
    rate = {"region": "eu", "onDemandGpus": 2, "baselineGpus": 2, "onDemandPrice": "1.5"}
    found = read_ledger(resource(rates=[rate]), AS_OF + 2 * 3600)
    assert found is not None
    november, december = found.of_month("2026-11")["eu"], found.of_month("2026-12")["eu"]
    assert (november.gpu_seconds, november.paid) == (7200, 3.0)
    assert (december.gpu_seconds, december.paid) == (7200, 3.0)


def test_a_status_from_the_future_is_taken_as_it_is() -> None:
    rate = {"region": "eu", "onDemandGpus": 2}
    row = {"month": "2026-11", "region": "eu", "spotSeconds": "60", "spotPaid": "0.5", "unpricedSeconds": "0.25"}
    found = read_ledger(resource(rates=[rate], months=[row]), AS_OF - 60)
    assert found is not None
    assert (found.months["2026-11", "eu"].spot_seconds, found.months["2026-11", "eu"].spot_paid) == (60.0, 0.5)
    assert found.months["2026-11", "eu"].unpriced_seconds == 0.25
