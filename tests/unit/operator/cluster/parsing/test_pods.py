"""Which of a pod's containers is reported: the one that holds it up, whatever was injected beside it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator import names
from voxfleet_operator.cluster.parsing.pods import Receipt, parse_pod
from voxfleet_operator.decisions.observed import PodState

EVENT = Receipt(1_795_000_000.0, is_listing=False)
LABELS = names.pool_labels("default", "narrator", "eu", "ondemand")

RUNNING: dict[str, Any] = {"state": {"running": {"startedAt": "2026-11-18T10:00:00Z"}}}
INITIALIZING: dict[str, Any] = {"state": {"waiting": {"reason": "PodInitializing"}}}
CRASHED: dict[str, Any] = {
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": " cut off \n"}},
    "restartCount": 2,
}
SUCCEEDED_AT_LAST: dict[str, Any] = {
    "state": {"terminated": {"exitCode": 0}},
    "lastState": {"terminated": {"exitCode": 1, "message": "429 Too Many Requests"}},
    "restartCount": 1,
}


def container(of: dict[str, Any], name: str = names.CONTAINER_SERVER) -> dict[str, Any]:
    return {"name": name, "restartCount": 0, **of}


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **metadata: Any) -> PodState:
    known = {"name": "x", "namespace": "default", "uid": "u", "resourceVersion": "1", "labels": LABELS}
    status = {"phase": "Running", "containerStatuses": list(containers), "initContainerStatuses": list(init)}
    return parse_pod({"metadata": {**known, **metadata}, "status": status}, None, EVENT)


def fetcher(of: dict[str, Any]) -> dict[str, Any]:
    return container(of, names.CONTAINER_FETCHER)


def reported(seen: PodState) -> tuple[Any, ...]:
    return seen.container, seen.restarts, seen.waiting_reason, seen.exit_code, seen.termination_message


def test_a_sidecar_that_is_sorted_first_hides_nothing() -> None:
    crashed = ("inference", 2, "CrashLoopBackOff", 3, "cut off")
    assert reported(pod(container(RUNNING, "dapr"), container(CRASHED))) == crashed
    assert reported(pod(container(CRASHED), container(RUNNING, "zipkin"))) == crashed
    assert pod(container(RUNNING, "dapr"), container(INITIALIZING)).started_at is None, "the server has not started"


def test_a_sidecar_that_fails_beside_a_running_server_is_reported() -> None:
    assert reported(pod(container(CRASHED, "envoy"), container(RUNNING)))[0] == "envoy"


def test_an_error_of_the_fetcher_is_the_pods_until_the_fetcher_succeeds() -> None:
    assert reported(pod(container(INITIALIZING), init=(fetcher(CRASHED),))) == (
        "fetch-weights",
        2,
        "CrashLoopBackOff",
        3,
        "cut off",
    )
    retried = pod(container(INITIALIZING), init=(fetcher({**SUCCEEDED_AT_LAST, **RUNNING}),))
    assert reported(retried) == ("fetch-weights", 1, "", 1, "429 Too Many Requests")
    assert retried.is_running
    assert reported(pod(container(RUNNING), init=(fetcher(SUCCEEDED_AT_LAST),))) == ("inference", 0, "", None, "")


def test_out_of_memory_is_reported_with_its_reason() -> None:
    killed = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 1}
    waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    seen = pod(container({**waiting, **killed}))
    assert (seen.exit_code, seen.termination_reason) == (137, "OOMKilled")


def test_the_newest_termination_with_an_error_counts() -> None:
    states = {"lastState": {"terminated": {"exitCode": 1}}, "state": {"terminated": {"exitCode": 3, "message": "new"}}}
    seen = pod(container(states))
    assert (seen.exit_code, seen.termination_message) == (3, "new")
    assert pod(container({"lastState": {"terminated": {"exitCode": 0}}})).exit_code is None


def test_failed_pulls_are_counted_from_the_first_until_one_succeeds() -> None:
    seen, counts = None, []
    reasons = (
        "ContainerCreating",
        "ErrImagePull",
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImagePull",
        "",
        "ErrImagePull",
    )
    for second, reason in enumerate(reasons):
        state = {"state": {"waiting": {"reason": reason}} if reason else RUNNING["state"]}
        known = {"name": "x", "namespace": "default", "uid": "u", "resourceVersion": "1", "labels": LABELS}
        body = {"metadata": known, "status": {"containerStatuses": [container(state)]}}
        seen = parse_pod(body, seen, Receipt(100.0 + second, is_listing=False))
        counts.append((seen.pull_failures, seen.pull_failed_at))
    assert counts == [(0, None), (1, 101), (1, 101), (1, 101), (2, 101), (0, None), (1, 106)]


@pytest.mark.parametrize(
    ("metadata", "phase", "is_active"),
    [
        ({}, "Running", True),
        ({}, "Failed", False),
        ({}, "Succeeded", False),
        ({"deletionTimestamp": "2026-11-18T10:00:00Z"}, "Running", False),
    ],
)
def test_a_pod_is_active_as_in_kubernetes_controllers(metadata: dict[str, Any], phase: str, is_active: bool) -> None:  # noqa: FBT001
    known = {"name": "x", "namespace": "default", "uid": "u", "resourceVersion": "1", "labels": LABELS}
    seen = parse_pod({"metadata": {**known, **metadata}, "status": {"phase": phase}}, None, EVENT)
    assert seen.is_active == is_active


@pytest.mark.parametrize(("written", "cost"), [("-7", -7), ("12", 12), ("", 0), ("x", 0), ("--1", 0)])
def test_pool_node_and_deletion_cost(written: str, cost: int) -> None:
    metadata = {"name": "x", "namespace": "default", "uid": "u", "resourceVersion": "1"}
    metadata |= {"labels": names.pool_labels("default", "narrator", "eu", "spot")}
    annotations = {"controller.kubernetes.io/pod-deletion-cost": written, "voxfleet.dev/template": "abc"}
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    body = {"metadata": {**metadata, "annotations": annotations}, "status": {"conditions": [disrupted]}}
    seen = parse_pod({**body, "spec": {"nodeName": "spot-1"}}, None, EVENT)
    assert (seen.pool, seen.node, seen.deletion_cost, seen.template) == ("spot", "spot-1", cost, "abc")
    assert seen.disrupted_at == EVENT.at


states = st.sampled_from([RUNNING, INITIALIZING, CRASHED, {"state": {"terminated": {"exitCode": 1}}}, {}])


@given(states, st.lists(st.text("abcdefgxyz", min_size=1, max_size=4), unique=True, max_size=4))
def test_property_healthy_sidecars_change_nothing(server: dict[str, Any], sidecars: list[str]) -> None:
    """The API server lists statuses by name, so a sidecar may come before the server or after it."""
    beside = sorted(
        [container(server), *(container(RUNNING, name) for name in sidecars)], key=lambda each: each["name"]
    )
    assert pod(*beside) == pod(container(server))
