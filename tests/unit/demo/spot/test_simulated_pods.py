"""A simulated pod reports what an inference server would, and ends as under a kubelet."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_demo.spot.simulated_pods import PodFacts, PodServer, gateway_load, micro_time, pod_facts
from voxfleet_operator.decisions.demand.load import GatewayLoad
from voxfleet_testbed.cluster.simulated_nodes import ANNOTATION_ENDS_ITSELF

REGION = ("default", "narrator", "eu-central")


def facts(address: str = "127.128.0.1", *, ends_at: float | None = None, ends_itself: bool = True) -> PodFacts:
    return PodFacts(
        namespace="default",
        name=f"pod-{address}",
        uid="1",
        deployment="narrator",
        region="eu-central",
        address=address,
        node="node-1",
        is_ready=True,
        ends_at=ends_at,
        ends_itself=ends_itself,
    )


@given(st.lists(st.integers(0, 40), max_size=5), st.integers(0, 100))
def test_the_operator_reads_every_open_and_held_request(opened: list[int], held: int) -> None:
    servers = [PodServer(facts(f"127.128.0.{number}"), count) for number, count in enumerate(opened, start=1)]
    answer = GatewayLoad.model_validate(gateway_load(servers, {REGION: held}))
    (model,) = answer.models
    assert (model.open_requests, model.held_requests) == (sum(opened), held)
    assert [row.load.open_requests for row in answer.pods] == opened


@pytest.mark.parametrize(
    ("open_requests", "ends_at", "ends_itself", "expected"),
    [
        (0, None, True, False),  # not deleted
        (0, 130.0, True, True),
        (1, 130.0, True, False),  # its stream is given the grace period
        (1, 99.0, True, True),
        (0, 130.0, False, False),  # kwok deletes it
    ],
)
def test_a_deleted_pod_ends_with_its_streams_or_its_grace_period(
    open_requests: int, ends_at: float | None, *, ends_itself: bool, expected: bool
) -> None:
    server = PodServer(facts(ends_at=ends_at, ends_itself=ends_itself), open_requests)
    assert server.is_over(100.0) is expected


def test_a_pod_is_read_as_the_api_server_stores_it() -> None:
    manifest: dict[str, Any] = {
        "metadata": {
            "namespace": "default",
            "name": "a",
            "uid": "1",
            "labels": {"voxfleet.dev/deployment": "narrator", "voxfleet.dev/region": "eu-central"},
            "annotations": {ANNOTATION_ENDS_ITSELF: "true"},
            "deletionTimestamp": micro_time(130.0)[:19] + "Z",
        },
        "spec": {"nodeName": "node-1"},
        "status": {"podIP": "127.128.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    read = pod_facts(manifest)
    assert (read.ends_at, read.ends_itself, read.is_ready, read.address) == (130.0, True, True, "127.128.0.1")
    assert pod_facts({"metadata": {"namespace": "d", "name": "b", "uid": "2"}, "spec": {}}).address == ""
