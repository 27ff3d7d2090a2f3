"""The picture that routing decides on: from pods' reports, EndpointSlices, Leases and own traffic."""

from datetime import UTC, datetime
from typing import Any

import pytest
from voxfleet_gateway.cluster.endpoint_watch import EndpointWatch, PodAddress, PodEndpoint, endpoints_of
from voxfleet_gateway.decisions.demand_lease import Lease
from voxfleet_gateway.decisions.routing import RegionView
from voxfleet_gateway.pods.fleet import Fleet
from voxfleet_gateway.pods.load_poller import poll_period_seconds
from voxfleet_gateway.pods.load_report import OPEN_LIMIT_PER_POD, LoadReport, PodRecord, ReceivedReport
from voxfleet_gateway.pods.traffic import RegionTraffic
from voxfleet_gateway.regions import ModelEntry, ObjectRef, RegionEntry, RegionKey, Registry

KEY = RegionKey("default", "narrator", "eu")
ONE, TWO = PodAddress("10.0.0.1"), PodAddress("10.0.0.2")


class World:
    """A fleet with everything around it in the test's hands."""

    def __init__(self, **region: Any) -> None:
        self.now = 100.0
        self.endpoints: tuple[PodEndpoint, ...] = ()
        self.leases: dict[tuple[str, str], Lease] = {}
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
            self.changed.append,
            lambda: self.now,
        )

    def put(self, *endpoints: PodEndpoint) -> None:
        self.endpoints = endpoints
        self.fleet.refresh()

    def report(self, state: Any = "ready", address: PodAddress = ONE, **fields: Any) -> None:
        report = LoadReport(state=state, free_rows=4, **fields)
        self.fleet.reported(KEY, address, ReceivedReport(report, {}, self.now))

    @property
    def view(self) -> RegionView:
        return self.fleet.view(self.model, self.region)


def test_a_pod_is_sent_requests_as_soon_as_it_says_ready() -> None:
    world = World()
    world.put(PodEndpoint(ONE, ready=False))
    assert not world.view.awake
    world.report("loading")
    assert not world.view.awake
    world.report("ready")
    assert world.view.awake


def test_a_silent_pod_is_believed_when_kubernetes_calls_it_ready() -> None:
    world = World()
    world.put(PodEndpoint(ONE, ready=True))
    assert world.view.awake
    world.report("draining")
    assert not world.view.awake
    world.now += 10
    assert world.view.awake, "an old report counts for nothing"


def test_a_suspect_pod_waits_for_its_next_report() -> None:
    world = World()
    world.put(PodEndpoint(ONE, ready=True))
    world.report()
    world.fleet.quarantine(KEY, world.fleet.pods[KEY][ONE])
    assert not world.view.awake
    assert poll_period_seconds(world.fleet.pods[KEY][ONE], world.now) == pytest.approx(0.1)
    world.report()
    assert world.view.awake


def test_terminating_pods_are_left_alone() -> None:
    world = World()
    world.put(PodEndpoint(ONE, ready=True, terminating=True))
    world.report()
    assert not world.view.awake


def test_a_pod_keeps_its_counters_when_its_endpoint_changes() -> None:
    world = World()
    world.put(PodEndpoint(ONE))
    world.report()
    with world.fleet.sending(KEY, world.fleet.pods[KEY][ONE]):
        world.put(PodEndpoint(ONE, ready=True))
        assert world.fleet.pods[KEY][ONE].open_requests == 1
    assert world.fleet.pods[KEY][ONE].open_requests == 0


def test_own_requests_count_until_the_next_report() -> None:
    world = World()
    world.put(PodEndpoint(ONE, ready=True))
    world.report()
    pod = world.fleet.pods[KEY][ONE]
    with world.fleet.sending(KEY, pod), world.fleet.sending(KEY, pod):
        assert (world.view.running, world.view.rows, world.view.waiting) == (2, 4, 0)
        world.report(running_sequences=2)
        assert (world.view.running, world.view.rows) == (2, 6)
    assert world.view.free_requests == OPEN_LIMIT_PER_POD


def test_the_pod_with_the_least_to_do_is_picked() -> None:
    world = World()
    world.put(PodEndpoint(ONE, ready=True), PodEndpoint(TWO, ready=True))
    world.report(waiting_sequences=3)
    world.report(address=TWO)
    picked = world.fleet.pick_pod(KEY)
    assert picked is not None
    assert picked.address == TWO
    picked.open_requests = OPEN_LIMIT_PER_POD
    other = world.fleet.pick_pod(KEY)
    assert other is not None
    assert other.address == ONE


def test_a_region_fails_when_the_operator_or_every_pod_says_so() -> None:
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
    assert world.view.falling_asleep
    later = at.replace(hour=1)
    world.leases["demand", "narrator-eu"] = Lease("demand", "narrator-eu", "2", 60, later, at)
    assert not world.view.falling_asleep


def test_wakes_are_measured_from_asking_to_the_first_ready_pod() -> None:
    world = World(predicted_wake_seconds=40)
    assert world.view.predicted_wake_seconds == 40
    assert world.fleet.wake_asked(KEY)
    assert not world.fleet.wake_asked(KEY), "one wake at a time"
    world.now += 12
    assert world.view.wake_elapsed_seconds == 12
    world.put(PodEndpoint(ONE))
    world.report()
    assert world.fleet.traffic(KEY).measured_wake_seconds == 12
    assert world.view.predicted_wake_seconds == 12
    assert world.view.wake_elapsed_seconds == 0


def test_whoever_waits_is_told_of_every_report_and_change() -> None:
    world = World()
    world.fleet.traffic(KEY)
    world.put(PodEndpoint(ONE))
    world.report()
    assert world.changed == [KEY, KEY]


def test_a_region_that_leaves_the_registry_takes_its_pods_along() -> None:
    world = World()
    world.put(PodEndpoint(ONE))
    world.fleet.registry = Registry
    world.fleet.refresh()
    assert world.fleet.pods == {}


def test_polling_is_fast_only_while_something_may_happen() -> None:
    now = 5.0
    pod = PodRecord(PodEndpoint(ONE))
    assert poll_period_seconds(pod, now) == pytest.approx(0.1)
    for state, period in (("loading", 0.1), ("warming", 0.1), ("ready", 1), ("draining", 1), ("failed", 1)):
        pod.take(ReceivedReport(LoadReport(state=state), {}, now))
        assert poll_period_seconds(pod, now) == pytest.approx(period)


def test_the_arrival_rate_decays() -> None:
    traffic = RegionTraffic()
    for second in range(600):
        traffic.arrived(float(second))
    assert traffic.rate(600) == pytest.approx(1.0, rel=0.05)
    assert traffic.rate(900) < 0.01
    assert RegionTraffic().rate(1) == 0


def slice_of(*addresses: str, name: str = "a", service: str = "narrator-eu", **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 7000}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": None}} for address in addresses],
    } | fields


def test_slices_are_merged_by_service() -> None:
    watch = EndpointWatch(lambda: None)
    watch.replaced([slice_of("10.0.0.1"), slice_of("10.0.0.2", name="b"), slice_of("10.0.0.9", name="c", service="x")])
    pods = watch.pods(("default", "narrator-eu"))
    assert [(pod.address.ip, pod.address.http_port, pod.address.internal_port) for pod in pods] == [
        ("10.0.0.1", 7000, 9091),
        ("10.0.0.2", 7000, 9091),
    ]
    assert all(pod.ready for pod in pods), "no condition means ready"
    watch.deleted(slice_of(name="b"))
    assert len(watch.pods(("default", "narrator-eu"))) == 1
    watch.changed(slice_of(endpoints=None))
    assert watch.pods(("default", "narrator-eu")) == ()


def test_ipv6_addresses_become_urls() -> None:
    (pod,) = endpoints_of(slice_of("fd00::1", addressType="IPv6"))
    assert pod.address.url("/x") == "http://[fd00::1]:7000/x"
    assert pod.address.internal_url("/y") == "http://[fd00::1]:9091/y"
    assert endpoints_of(slice_of("x.example", addressType="FQDN")) == ()
