"""The regions follow registry, endpoints, reports, Leases and the gateway's own requests."""

from datetime import UTC, datetime
from typing import Any

import pytest
from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.pods.pod_state import (
    FRESH_SECONDS,
    LoadReport,
    PodAddress,
    PodEndpoint,
    ReceivedReport,
)
from voxfleet_gateway.decisions.snapshot import RegionView
from voxfleet_gateway.errors import UpstreamFailure
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import poll_period_seconds
from voxfleet_gateway.regions import DEFAULT_SERVING, ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry

KEY = RegionKey("default", "narrator", "eu")
ONE, TWO = PodAddress("10.0.0.1"), PodAddress("10.0.0.2")


class World:
    """A fleet whose registry, endpoints, Leases, held requests and clock the test sets."""

    def __init__(self, **region: Any) -> None:
        self.now = 100.0
        self.endpoints: tuple[PodEndpoint, ...] = ()
        self.leases: dict[tuple[str, str], Lease] = {}
        self.held: dict[RegionKey, int] = {}
        self.changed: list[RegionKey] = []
        self.region = RegionEntry(
            name="eu",
            service=ObjectRef(namespace="default", name="narrator-eu"),
            lease=ObjectRef(namespace="demand", name="narrator-eu"),
            **region,
        )
        self.model = ModelEntry(
            schema="voxfleet.dev/registry/v1", namespace="default", name="narrator", model="m", regions=(self.region,)
        )
        registry = Registry.of([self.model])
        self.fleet = Fleet(
            lambda: registry,
            lambda _service: self.endpoints,
            lambda: self.leases,
            lambda key: self.held.get(key, 0),
            self.changed.append,
            lambda: self.now,
        )
        self.fleet.refresh()

    def put(self, *endpoints: PodEndpoint) -> None:
        self.endpoints = endpoints
        self.fleet.refresh()

    def report(self, state: Any = "ready", address: PodAddress = ONE, **fields: Any) -> None:
        report = LoadReport(state=state, free_rows=4, **fields)
        self.fleet.record_report(KEY, address, ReceivedReport(report, {}, self.now))

    @property
    def view(self) -> RegionView:
        return self.fleet.standing(KEY).view


def test_a_pod_is_servable_as_soon_as_it_reports_ready() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=False))
    assert not world.view.is_awake
    world.report("loading")
    assert not world.view.is_awake
    world.report("ready")
    assert world.view.is_awake


def test_a_pod_that_never_reported_is_servable_when_kubernetes_says_ready() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True))
    assert world.view.is_awake


def test_a_pod_that_reported_and_stopped_is_not_servable_whatever_kubernetes_says() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True))
    world.report()
    world.now += FRESH_SECONDS + 0.1
    assert not world.view.is_awake
    world.report()
    assert world.view.is_awake


def test_a_quarantined_pod_is_servable_after_its_next_report() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True))
    world.report()
    suspected: list[Any] = []
    world.fleet.on_suspicion = lambda *pod: suspected.append(pod)
    world.fleet.record_failure(KEY, world.fleet.regions[KEY].pods[ONE], UpstreamFailure.RESET)
    assert not world.view.is_awake
    assert suspected == [(KEY, ONE)], "it is polled at once"
    assert poll_period_seconds(world.fleet.regions[KEY].pods[ONE], world.now) == pytest.approx(0.1)
    world.report()
    assert world.view.is_awake


def test_a_terminating_pod_is_not_servable() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True, is_terminating=True))
    world.report()
    assert not world.view.is_awake


def test_a_pod_keeps_its_counters_when_its_endpoint_changes() -> None:
    world = World()
    world.put(PodEndpoint(ONE))
    world.report()
    with world.fleet.sending(KEY, world.fleet.regions[KEY].pods[ONE]):
        world.put(PodEndpoint(ONE, is_ready=True))
        assert world.fleet.regions[KEY].pods[ONE].open_requests == 1
    assert world.fleet.regions[KEY].pods[ONE].open_requests == 0


def test_own_requests_count_until_the_next_report() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True))
    world.report()
    pod = world.fleet.regions[KEY].pods[ONE]
    with world.fleet.sending(KEY, pod), world.fleet.sending(KEY, pod):
        assert (world.view.running, world.view.rows, world.view.waiting) == (2, 4, 0)
        world.report(running_sequences=2)
        assert (world.view.running, world.view.rows) == (2, 6)
    assert world.view.free_requests == DEFAULT_SERVING.open_limit(1)


def test_the_pod_with_the_least_work_is_picked() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True), PodEndpoint(TWO, is_ready=True))
    world.report(waiting_sequences=3)
    world.report(address=TWO)
    picked = world.fleet.pick_pod(KEY)
    assert picked is not None
    assert picked.address == TWO
    picked.open_requests = DEFAULT_SERVING.open_limit(1)
    other = world.fleet.pick_pod(KEY)
    assert other is not None
    assert other.address == ONE


def test_a_region_has_failed_when_the_operator_or_every_pod_reports_it() -> None:
    assert World(phase="Failed", message="no such image").view.failure == "no such image"
    world = World()
    world.put(PodEndpoint(ONE), PodEndpoint(TWO))
    world.report("failed", message="bad weights")
    assert world.view.failure is None, "the other pod may still come"
    world.report("failed", TWO, message="bad weights")
    assert world.view.failure == "bad weights"


def test_a_marked_lease_shows_until_it_is_renewed() -> None:
    world = World()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    world.leases["demand", "narrator-eu"] = Lease("demand", "narrator-eu", "1", 60, at, at)
    assert world.view.is_falling_asleep
    later = at.replace(hour=1)
    world.leases["demand", "narrator-eu"] = Lease("demand", "narrator-eu", "2", 60, later, at)
    world.fleet.notify_leases([("demand", "narrator-eu")])
    assert not world.view.is_falling_asleep


def test_wakes_are_measured_from_the_request_to_the_first_servable_pod() -> None:
    world = World(predicted_wake_seconds=40)
    assert world.view.predicted_wake_seconds == 40
    assert world.fleet.request_wake(KEY)
    assert not world.fleet.request_wake(KEY), "one wake at a time"
    world.now += 12
    assert world.view.wake_elapsed_seconds == 12
    world.put(PodEndpoint(ONE))
    world.report()
    assert world.fleet.regions[KEY].traffic.measured_wake_seconds == 12
    assert world.view.predicted_wake_seconds == 12
    assert world.view.wake_elapsed_seconds == 0


def test_held_requests_are_notified_of_every_report_and_change() -> None:
    world = World()
    world.held[KEY] = 1
    world.changed.clear()
    world.put(PodEndpoint(ONE))
    world.report()
    assert world.changed == [KEY, KEY]


def test_a_region_that_leaves_the_registry_is_forgotten() -> None:
    world = World()
    world.put(PodEndpoint(ONE))
    world.fleet.registry = Registry
    world.fleet.refresh()
    assert world.fleet.regions == {}


def test_a_region_that_leaves_the_registry_is_kept_for_its_open_requests() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True))
    with world.fleet.sending(KEY, world.fleet.regions[KEY].pods[ONE]):
        world.fleet.registry = Registry
        world.fleet.refresh()
        region = world.fleet.regions[KEY]
        assert (region.is_registered, region.pods, region.traffic.open_requests) == (False, {}, 1)
        assert world.fleet.lease(KEY) is None
    world.fleet.refresh()
    assert world.fleet.regions == {}


def test_a_changed_registry_entry_keeps_the_regions_counters() -> None:
    world = World()
    traffic = world.fleet.regions[KEY].traffic
    suspended = world.model.model_copy(update={"suspended": True})
    world.fleet.registry = lambda: Registry.of([suspended])
    world.fleet.refresh()
    assert world.fleet.regions[KEY].model is suspended
    assert world.fleet.regions[KEY].traffic is traffic


def test_a_new_pod_is_used_while_the_circuit_of_the_old_ones_is_open() -> None:
    world = World()
    world.endpoints = (PodEndpoint(ONE, is_ready=True),)
    world.fleet.refresh()
    (pod,) = world.fleet.regions[KEY].pods.values()
    for _ in range(5):
        world.fleet.record_failure(KEY, pod, UpstreamFailure.ERROR_5XX)
    assert (world.view.free_requests, world.view.circuit_left_seconds) == (0, 1.0)
    world.now += 1.0
    assert world.view.free_requests == 1, "one tries it"
    world.fleet.record_failure(KEY, pod, UpstreamFailure.ERROR_5XX)
    assert world.view.circuit_left_seconds == 2.0
    world.endpoints = (PodEndpoint(ONE, is_ready=True), PodEndpoint(TWO, is_ready=True))
    world.fleet.refresh()
    assert (world.view.free_requests, world.view.circuit_left_seconds) == (pod.max_requests, 0.0)
    assert world.fleet.pick_pod(KEY) is world.fleet.regions[KEY].pods[TWO]


def test_a_request_that_found_every_row_taken_does_not_lengthen_the_service_time() -> None:
    world = World()
    world.put(PodEndpoint(ONE, is_ready=True))
    world.report(running_sequences=3)
    pod, traffic = world.fleet.regions[KEY].pods[ONE], world.fleet.regions[KEY].traffic
    with world.fleet.sending(KEY, pod):
        world.now += 2.0
    assert traffic.services_measured == 1
    measured = traffic.service_seconds
    world.report(running_sequences=3, waiting_sequences=5)
    with world.fleet.sending(KEY, pod):
        world.now += 60.0
    assert traffic.service_seconds == measured
