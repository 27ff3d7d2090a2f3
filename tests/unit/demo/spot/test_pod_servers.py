"""Simulated servers answer over real HTTP at their pods' addresses; the API server is a list that the test keeps."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from voxfleet_demo.spot.pod_servers import INTERNAL_PORT, PodServers, serving_pods
from voxfleet_demo.spot.simulated_pods import micro_time
from voxfleet_demo.spot.streams import Stream
from voxfleet_testbed.cluster.simulated_nodes import ANNOTATION_ENDS_ITSELF
from voxfleet_testbed.network.addresses import loopback_address

PATIENCE_SECONDS = 30.0
ADDRESS = loopback_address(os.getpid())  # each worker its own: the ports are fixed


class ListedPods:
    """What the servers call of the API: a list of pods, deletions and patches."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.patches: list[tuple[str, Any]] = []

    def get(self, _path: str) -> Any:
        return {"items": list(self.pods.values())}

    def delete(self, path: str) -> None:
        assert path.endswith("?gracePeriodSeconds=0")
        self.pods.pop(path.split("?", maxsplit=1)[0].rsplit("/", 1)[1], None)

    def request(self, method: str, path: str, body: Any, _content_type: str) -> None:
        assert method == "PATCH"
        self.patches.append((path, body))

    def add(self, name: str) -> None:
        labels = {"voxfleet.dev/deployment": "narrator", "voxfleet.dev/region": "eu-central"}
        annotations = {ANNOTATION_ENDS_ITSELF: "true"}
        metadata = {"namespace": "default", "name": name, "uid": name, "labels": labels, "annotations": annotations}
        status = {"podIP": ADDRESS, "conditions": [{"type": "Ready", "status": "True"}]}
        self.pods[name] = {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": status}

    def terminate(self, name: str, grace_seconds: float) -> None:
        at = micro_time(time.time() + grace_seconds)[:19] + "Z"
        self.pods[name]["metadata"]["deletionTimestamp"] = at


def until(is_true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def listed() -> ListedPods:
    return ListedPods()


@pytest.fixture
def servers(listed: ListedPods) -> Iterator[PodServers]:
    api: Any = listed
    with serving_pods(api, "127.0.0.1", lambda region: f"/leases/{region[1]}") as running:
        listed.add("one")
        until(lambda: running.on_pod("one"), "the pod's server runs")
        time.sleep(0.2)  # its ports open right after
        yield running


def test_a_stream_is_complete_and_counted_while_it_is_open(servers: PodServers) -> None:
    stream = Stream(ADDRESS, 1.6).start()
    server = servers.on_pod("one")
    assert server is not None
    assert server.open_requests == 1
    gateway = httpx.get(f"http://127.0.0.1:{servers.gateway_port}/internal/load").json()
    assert gateway["pods"][0]["load"]["open_requests"] == gateway["models"][0]["open_requests"] == 1
    stream.join(PATIENCE_SECONDS)
    assert stream.is_complete, stream.error
    until(lambda: server.open_requests == 0, "nothing is open")


def test_a_deleted_pod_ends_only_after_its_stream(servers: PodServers, listed: ListedPods) -> None:
    stream = Stream(ADDRESS, 3.2).start()
    listed.terminate("one", 60)
    stream.join(PATIENCE_SECONDS)
    assert stream.is_complete, stream.error
    until(lambda: "one" not in listed.pods, "the pod is deleted")
    until(lambda: servers.on_pod("one") is None, "its server ended")


def test_a_stream_is_cut_at_the_end_of_the_grace_period(listed: ListedPods, servers: PodServers) -> None:
    assert servers.gateway_port
    stream = Stream(ADDRESS, 600).start()
    listed.terminate("one", 0)
    stream.join(PATIENCE_SECONDS)
    assert not stream.is_complete
    assert stream.error


def test_a_lost_pod_cuts_its_streams(listed: ListedPods, servers: PodServers) -> None:
    assert servers.gateway_port
    stream = Stream(ADDRESS, 600).start()
    listed.pods.clear()
    stream.join(PATIENCE_SECONDS)
    assert stream.error


def test_a_drained_server_refuses_and_its_pod_is_unready(servers: PodServers, listed: ListedPods) -> None:
    assert httpx.post(f"http://{ADDRESS}:{INTERNAL_PORT}/internal/drain").json()["state"] == "draining"
    with pytest.raises(TimeoutError, match="503"):
        Stream(ADDRESS, 1).start()
    path, body = listed.patches[-1]
    assert path.endswith("/pods/one/status")
    assert {each["status"] for each in body["status"]["conditions"]} == {"False"}
    assert httpx.delete(f"http://{ADDRESS}:{INTERNAL_PORT}/internal/drain").json()["state"] == "ready"
    assert servers.errors == []


def test_leases_are_renewed_while_requests_are_held(servers: PodServers, listed: ListedPods) -> None:
    servers.held["default", "narrator", "eu-central"] = 3
    until(lambda: any(path == "/leases/narrator" for path, _ in listed.patches), "the Lease is renewed")


def test_a_client_hangs_up(servers: PodServers) -> None:
    server = servers.on_pod("one")
    assert server is not None
    stream = Stream(ADDRESS, 600).start()
    stream.hang_up()
    assert (stream.is_open, stream.is_complete, stream.error) == (False, False, "")
    until(lambda: server.open_requests == 0, "nothing is open")
