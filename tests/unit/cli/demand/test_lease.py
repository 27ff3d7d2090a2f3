"""What is written to a demand Lease, as the gateway and the operator read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_cli.demand import lease as leases
from voxfleet_cli.demand.lease import DemandLease, parse_lease, renewal_patch, sleep_patch
from voxfleet_gateway.decisions import demand_lease as gateways
from voxfleet_operator import names
from voxfleet_operator.cluster.parsing import objects as operators
from voxfleet_operator.cluster.parsing.pods import Receipt

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
moments = st.none() | st.timedeltas(timedelta(hours=-2), timedelta(hours=2)).map(lambda delta: NOW + delta)


def merged(raw: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    annotations = {**raw["metadata"]["annotations"], **patch["metadata"].get("annotations", {})}
    return {
        "metadata": {**raw["metadata"], "annotations": annotations},
        "spec": {**raw["spec"], **patch.get("spec", {})},
    }


def raw_lease(renewed: datetime | None, marked: datetime | None, sleep_at: datetime | None) -> dict[str, Any]:
    annotations = {leases.ASLEEP_SINCE: marked, leases.SLEEP_AT: sleep_at}
    return {
        "metadata": {
            "name": "l",
            "namespace": "d",
            "resourceVersion": "7",
            "annotations": {k: leases.format_time(v) for k, v in annotations.items() if v},
        },
        "spec": {"leaseDurationSeconds": 600, **({"renewTime": leases.format_time(renewed)} if renewed else {})},
    }


def test_the_names_are_the_operators() -> None:
    assert (leases.SLEEP_AT, leases.ASLEEP_SINCE) == (names.ANNOTATION_SLEEP_AT, names.ANNOTATION_ASLEEP_SINCE)


@given(moments, moments, moments)
def test_a_renewal_voids_mark_and_request_for_both_readers(renewed: Any, marked: Any, sleep_at: Any) -> None:
    raw = raw_lease(renewed, marked, sleep_at)
    after = merged(raw, renewal_patch(parse_lease(raw), NOW))
    assert not gateways.parse_lease(after).is_falling_asleep
    assert gateways.parse_lease(after).is_wanted_at(NOW)
    received = Receipt(NOW.timestamp() + 3 * 3600, is_listing=False)
    read = operators.parse_lease(after, None, received)
    assert not read.is_sleep_requested
    assert not read.is_marked_asleep
    assert not parse_lease(after).is_sleep_requested


@given(moments, moments, moments)
def test_a_request_for_sleep_holds_until_the_next_renewal(renewed: Any, marked: Any, earlier: Any) -> None:
    raw = raw_lease(renewed, marked, earlier)
    after = merged(raw, sleep_patch(parse_lease(raw), NOW))
    received = Receipt(NOW.timestamp() + 3 * 3600, is_listing=False)
    assert operators.parse_lease(after, None, received).is_sleep_requested
    assert parse_lease(after).is_sleep_requested
    gateway = gateways.parse_lease(after)
    later = gateways.renewal_patch(gateway, max(NOW, renewed or NOW) + timedelta(seconds=1), "gw-0")
    assert not operators.parse_lease(merged(after, later), None, received).is_sleep_requested


def test_a_write_has_the_version_that_was_read() -> None:
    lease = DemandLease("l", "42")
    for patch in (renewal_patch(lease, NOW), sleep_patch(lease, NOW)):
        assert patch["metadata"]["resourceVersion"] == "42"
