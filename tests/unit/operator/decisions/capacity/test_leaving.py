"""Which nodes are leaving: the table of signs, and the pods of nodes that are gone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.capacity.leaving import (
    NOT_LEAVING,
    SIGNS,
    Outage,
    Sign,
    Taint,
    leaving_sign,
    next_sign_at,
    node_leaving,
    with_node,
)
from voxfleet_operator.decisions.capacity.shrinking import PoolState, pool_step
from voxfleet_operator.decisions.observed import Cause, Leaving, NodeState, PodState

NOW = 1_795_000_000.0
POD = PodState("default", "p", "narrator", "eu", created_at=NOW - 60, node="n1", scheduled_at=NOW - 50)


def sign_of(*taints: Taint, is_cordoned: bool = False, is_deleting: bool = False) -> str:
    sign = leaving_sign(taints, is_cordoned=is_cordoned, is_deleting=is_deleting)
    return sign.key if sign else ""


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.key)
def test_every_sign_of_the_table_is_recognized_by_its_key_and_effect(sign: Sign) -> None:
    key, effect = sign.key, sign.effect or "NoSchedule"
    assert sign_of(Taint(key, effect)) == key
    if sign.effect:
        assert sign_of(Taint(key, "NoSchedule")) == "", "a taint of a node that merely starts"


CHOICES = {"karpenter.sh/disrupted", "karpenter.sh/disruption", "ToBeDeletedByClusterAutoscaler"}
UNKNOWN = {"node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"}
DRAINED, ENDED = "EvictionByEvictionAPI", "TerminationByKubelet"


def test_the_table_says_of_every_sign_whether_the_provider_takes_the_node() -> None:
    assert {sign.key for sign in SIGNS if sign.cause == Cause.CHOICE} == CHOICES
    assert {sign.key for sign in SIGNS if sign.cause == Cause.UNKNOWN} == UNKNOWN


@pytest.mark.parametrize(
    ("cause", "reason", "is_reclaim"),
    [
        (None, "", False),
        (None, DRAINED, False),
        (None, "PreemptionByScheduler", False),
        (None, ENDED, True),
        (None, "DeletionByPodGC", True),
        (Cause.CHOICE, DRAINED, False),
        (Cause.CHOICE, ENDED, True),
        (Cause.CHOICE, "DeletionByTaintManager", True),
        (Cause.UNKNOWN, DRAINED, True),
        (Cause.UNKNOWN, "PreemptionByScheduler", False),
        (Cause.UNKNOWN, None, False),
        (Cause.RECLAIM, DRAINED, True),
        (Cause.RECLAIM, None, True),
    ],
)
def test_an_eviction_is_a_reclaim_by_its_reason_and_its_nodes(
    cause: Cause | None,
    reason: str | None,
    is_reclaim: bool,  # noqa: FBT001 - a column of the table
) -> None:
    leaving = Leaving("r", NOW, cause=cause) if cause else None
    pod = replace(POD, leaving=leaving, disruption_reason=reason or "", disrupted_at=None if reason is None else NOW)
    assert (pod.reclaimed_at is not None) == is_reclaim


def test_a_drained_pod_whose_node_is_gone_first_is_no_reclaim() -> None:
    drained = replace(POD, is_deleting=True, disrupted_at=NOW, disruption_reason=DRAINED)
    assert with_node(drained, None, NOW + 60).reclaimed_at is None
    assert with_node(POD, None, NOW + 60).reclaimed_at is not None, "a machine that vanished"


@pytest.mark.parametrize("key", sorted(NOT_LEAVING | {"nvidia.com/gpu", "sku", "node.kubernetes.io/not-ready"}))
def test_a_taint_that_says_nothing_about_leaving_is_none(key: str) -> None:
    assert sign_of(Taint(key, "PreferNoSchedule"), Taint(key, "NoSchedule")) == ""


def test_cordoned_and_deleted_nodes_leave_and_the_most_urgent_sign_counts() -> None:
    assert sign_of(is_cordoned=True) == "spec.unschedulable"
    assert sign_of(is_cordoned=True, is_deleting=True) == "metadata.deletionTimestamp"
    reclaimed = (Taint("karpenter.sh/disrupted"), Taint("aws-node-termination-handler/spot-itn"))
    assert sign_of(*reclaimed, is_cordoned=True) == "aws-node-termination-handler/spot-itn"


def test_a_node_that_is_not_ready_for_a_moment_does_not_leave() -> None:
    (sign,) = (each for each in SIGNS if each.key == "node.kubernetes.io/not-ready")
    node = NodeState(sign.key, node_leaving("n1", sign, NOW))
    assert not with_node(POD, node, NOW + 29).is_leaving
    assert next_sign_at(POD, node, NOW) == NOW + 30
    assert with_node(POD, node, NOW + 30).is_leaving
    assert next_sign_at(POD, node, NOW + 30) is None


SILENT, UNREADY, RECLAIMED = (
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/not-ready",
    "aws-node-termination-handler/spot-itn",
)
OVER = Outage(NOW - 60, NOW)  # it lasted a minute and is over since now
LASTING = Outage(NOW - 60)


@pytest.mark.parametrize(
    ("sign_key", "seen_after", "outage", "leaves_after"),
    [
        (SILENT, 0, None, 0),
        (SILENT, 0, OVER, 30),  # the first listing after the outage: the kubelet may be back already
        (SILENT, 12, OVER, 30),  # the node controller looks again, and not all kubelets have reported
        (SILENT, 31, OVER, 31),  # by then they have: this one is silent by itself
        (SILENT, -61, OVER, -61),  # the node was lost before the API server was
        (SILENT, -61, LASTING, -61),
        (SILENT, -10, LASTING, None),  # what was read on the way down proves nothing until the server is back
        (SILENT, 0, Outage(0.0, NOW), 30),  # a process that has just started: the outage may have started it
        (UNREADY, 0, None, 30),
        (UNREADY, 0, OVER, 30),
        (UNREADY, 12, OVER, 42),
        (RECLAIMED, 0, OVER, 0),  # a controller has written it on the node
        (RECLAIMED, -10, LASTING, -10),
    ],
)
def test_silence_of_a_node_counts_once_it_outlasts_that_of_the_api_server(
    sign_key: str, seen_after: float, outage: Outage | None, leaves_after: float | None
) -> None:
    pod = replace(POD, scheduled_at=NOW - 100)
    (sign,) = (each for each in SIGNS if each.key == sign_key)
    node = NodeState(sign.key, node_leaving("n1", sign, NOW + seen_after))
    if leaves_after is None:
        assert not with_node(pod, node, NOW + 3600, outage).is_leaving
        assert next_sign_at(pod, node, NOW, outage) is None
        return
    at = NOW + leaves_after
    assert not with_node(pod, node, at - 0.1, outage).is_leaving
    leaving = with_node(pod, node, at, outage).leaving
    assert leaving is not None
    assert leaving.since == at
    assert next_sign_at(pod, node, at - 0.1, outage) == at
    assert next_sign_at(pod, node, at, outage) is None
    assert not with_node(pod, NodeState(), at, outage).is_leaving, "the kubelet has reported again"


def test_a_node_that_was_not_listed_again_is_not_gone_during_an_outage() -> None:
    new = replace(POD, scheduled_at=NOW - 60)
    assert not with_node(new, None, NOW + 3600, LASTING).is_leaving
    assert not with_node(new, None, NOW + 9, OVER).is_leaving
    assert next_sign_at(new, None, NOW, OVER) == NOW + 10
    assert with_node(new, None, NOW + 10, OVER).is_leaving


def test_a_pod_of_a_node_that_does_not_exist_leaves_once_the_watch_must_have_shown_the_node() -> None:
    new = replace(POD, scheduled_at=NOW)
    assert not with_node(new, None, NOW + 9).is_leaving
    assert next_sign_at(new, None, NOW) == NOW + 10
    gone = with_node(new, None, NOW + 10)
    assert gone.leaving is not None
    assert gone.leaving.is_urgent
    assert not with_node(replace(POD, node=""), None, NOW).is_leaving, "it has no node yet"


def test_a_pod_that_is_placed_on_a_leaving_node_does_not_leave() -> None:
    node = NodeState(leaving=Leaving("node n1: the node does not report", NOW))
    assert with_node(POD, node, NOW).is_leaving
    assert with_node(replace(POD, scheduled_at=None), node, NOW).is_leaving
    assert not with_node(replace(POD, scheduled_at=NOW + 1), node, NOW + 2).is_leaving


@pytest.mark.parametrize("target", [1, 3])
def test_replacements_that_are_placed_on_the_leaving_node_are_not_replaced_in_turn(target: int) -> None:
    """As on a node that comes back: the scheduler may use it while the taint that evicts is still there."""
    node, now = NodeState(leaving=Leaving("node n1: the node does not report", NOW)), NOW
    pods = [replace(POD, name=f"p{number}", ready_at=NOW - 10) for number in range(target)]
    for _ in range(20):
        now += 1
        seen = tuple(with_node(pod, node, now) for pod in pods)
        step = pool_step(target, PoolState(len(pods), seen, {}, 120.0), now)
        pods += [replace(POD, name=f"p{len(pods)}", scheduled_at=now) for _ in range(step.replicas - len(pods))]
    assert len(pods) == 2 * target


@given(st.lists(st.sampled_from([*SIGNS]), max_size=5), st.booleans(), st.booleans())
def test_property_a_node_leaves_exactly_while_it_has_a_sign(signs: list[Sign], cordoned: bool, deleting: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    taints = tuple(Taint(sign.key, sign.effect or "NoSchedule") for sign in signs)
    found = leaving_sign(taints, is_cordoned=cordoned, is_deleting=deleting)
    assert (found is not None) == bool(signs or cordoned or deleting)
    if any(sign.is_urgent for sign in signs):
        assert found is not None
        assert found.is_urgent
