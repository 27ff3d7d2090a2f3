"""EndpointSlices as pods behind Services."""

from typing import Any

from voxfleet_gateway.cluster.endpoint_watch import EndpointWatch, endpoints_of


def slice_of(*addresses: str, name: str = "a", service: str = "narrator-eu", **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 7000}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": None}} for address in addresses],
    } | fields


def test_slices_are_merged_by_service() -> None:
    watch = EndpointWatch(lambda _services: None)
    watch.replaced([slice_of("10.0.0.1"), slice_of("10.0.0.2", name="b"), slice_of("10.0.0.9", name="c", service="x")])
    pods = watch.pods(("default", "narrator-eu"))
    assert [(pod.address.ip, pod.address.http_port, pod.address.internal_port) for pod in pods] == [
        ("10.0.0.1", 7000, 9091),
        ("10.0.0.2", 7000, 9091),
    ]
    assert all(pod.is_ready for pod in pods), "no condition means ready"
    watch.deleted(slice_of(name="b"))
    assert len(watch.pods(("default", "narrator-eu"))) == 1
    watch.changed(slice_of(endpoints=None))
    assert watch.pods(("default", "narrator-eu")) == ()


def test_ipv6_addresses_become_urls() -> None:
    (pod,) = endpoints_of(slice_of("fd00::1", addressType="IPv6"))
    assert pod.address.url("/x") == "http://[fd00::1]:7000/x"
    assert pod.address.internal_url("/y") == "http://[fd00::1]:9091/y"
    assert endpoints_of(slice_of("x.example", addressType="FQDN")) == ()


def test_an_event_names_the_services_that_it_changed() -> None:
    changed: list[set[tuple[str, str]]] = []
    watch = EndpointWatch(lambda services: changed.append({*services}))
    watch.replaced([slice_of("10.0.0.1"), slice_of("10.0.0.9", name="c", service="x")])
    watch.changed(slice_of("10.0.0.2", name="c", service="y"))
    watch.deleted(slice_of(name="c"))
    watch.deleted(slice_of(name="unknown"))
    names = [{name for _, name in services} for services in changed]
    assert names == [{"narrator-eu", "x"}, {"x", "y"}, {"y"}, set()]
    watch.replaced([])
    assert {name for _, name in changed[-1]} == {"narrator-eu"}
    assert (watch.services, watch.slices) == ({}, {})
