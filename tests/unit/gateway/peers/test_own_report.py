"""What a gateway reports about its region: pods, its own clients' arrivals, wakes; and what it leaves out."""

import time
from typing import Any

from voxfleet_gateway.decisions.pods.pod_state import LoadReport, PodAddress, PodEndpoint, ReceivedReport
from voxfleet_gateway.peers.own_report import own_report
from voxfleet_gateway.peers.report import ModelReport
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry

EU, US = RegionKey("d", "n", "eu"), RegionKey("d", "n", "us")
FIRST, SECOND = PodAddress("10.0.0.1"), PodAddress("10.0.0.2")


def fleet_of(*pods: PodEndpoint) -> Fleet:
    """Return eu's fleet with a model in eu and us, and one in us alone."""
    fields: dict[str, Any] = {"schema": "voxfleet.dev/registry/v1", "namespace": "d"}
    eu = RegionEntry(name="eu", service=ObjectRef(namespace="d", name="eu"), local=False)
    us = RegionEntry(name="us", local=False)
    registry = Registry.of(
        [
            ModelEntry(**fields, name="n", model="m", regions=(eu, us)),
            ModelEntry(**fields, name="other", model="o", regions=(us,)),
        ]
    )
    fleet = Fleet(lambda: registry, lambda _: pods, dict)
    fleet.gateway_region, fleet.replicas = "eu", 2
    fleet.refresh()
    return fleet


def report(fleet: Fleet, address: PodAddress, **fields: Any) -> None:
    fleet.record_report(EU, address, ReceivedReport(LoadReport(state="ready", **fields), {}, time.monotonic()))


def only_row(fleet: Fleet) -> ModelReport:
    (row,) = own_report(fleet, "gateway-1").models
    return row


def test_pods_are_summed_and_the_slowest_is_measured() -> None:
    """A waiting request counts as running while its pod has a free row: it gets it with the next step."""
    fleet = fleet_of(PodEndpoint(FIRST, "a", is_ready=True), PodEndpoint(SECOND, "b", is_ready=True))
    report(
        fleet, FIRST, running_sequences=3, free_rows=29, step_seconds_p50=0.004, first_audio_seconds_p95=0.06,
        languages=["en"],
    )  # fmt: skip
    report(
        fleet, SECOND, running_sequences=2, free_rows=30, waiting_sequences=1, step_seconds_p50=0.006, languages=["en"]
    )
    row = only_row(fleet)
    assert (row.ref, row.ready_pods, row.rows, row.running, row.waiting) == (("d", "n"), 2, 64, 6, 0)
    assert (row.step_seconds_p50, row.first_audio_seconds_p95) == (0.006, 0.06)
    assert row.free_requests == 2 * 80
    assert row.languages == ("en",)


def test_arrivals_are_those_of_the_own_clients_in_whichever_region_they_were_served() -> None:
    fleet, now = fleet_of(), time.monotonic()
    for key, country, requests in ((EU, "DE", 30), (US, "DE", 15), (US, None, 15)):
        for _ in range(requests):
            fleet.regions[key].traffic.record_arrival(now, country)
    row = only_row(fleet)
    assert abs(row.arrivals_per_second - 1.0) < 0.1
    assert abs(row.arrivals_by_country["DE"] - 0.75) < 0.1
    assert row.arrivals_by_country.keys() == {"DE", ""}


def test_a_model_at_rest_and_one_of_another_region_have_no_row() -> None:
    made = own_report(fleet_of(), "gateway-1")
    assert (made.models, made.region, made.replicas, made.gateway) == ((), "eu", 2, "gateway-1")


def test_a_wake_is_reported_whichever_gateway_has_started_it() -> None:
    started = fleet_of()
    started.request_wake(EU)
    time.sleep(0.01)
    assert only_row(started).wake_elapsed_seconds > 0
    elsewhere = fleet_of(PodEndpoint(FIRST, "a"))
    assert only_row(elsewhere).wake_elapsed_seconds > 0
    assert only_row(elsewhere).ready_pods == 0


def test_a_failure_is_reported_in_few_words() -> None:
    fleet = fleet_of(PodEndpoint(FIRST, "a"))
    received = ReceivedReport(LoadReport(state="failed", message="x" * 290), {}, time.monotonic())
    fleet.record_report(EU, FIRST, received)
    assert only_row(fleet).failure == "x" * 290
