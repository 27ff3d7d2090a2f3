"""A user's request for sleep (`voxfleet.dev/sleep-at`): as an expired Lease, with the same safety."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator import names
from voxfleet_operator.cluster.parsing.objects import parse_lease
from voxfleet_operator.cluster.parsing.pods import Receipt
from voxfleet_operator.decisions.actions import ClearMark, ConfirmAsleep, MarkAsleep
from voxfleet_operator.decisions.demand.idle_timers import sleep_request_texts, wanted_until
from voxfleet_operator.decisions.observed import (
    LeaseState,
    LoadState,
    LocalState,
    PodState,
    RegionState,
    WorkloadState,
)
from voxfleet_operator.decisions.region_plan import decide
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.resources import Autoscaling, Phase

NOW = 1_795_000_000.0
RENEWED, ASKED = NOW - 100, NOW - 10
AUTOSCALING = Autoscaling(idle_timeout_seconds=3600, wake_timeout_seconds=100, max_unknown_seconds=300)


def awake(**fields: Any) -> RegionState:
    base = RegionState(
        "eu",
        generation=1,
        autoscaling=AUTOSCALING,
        workloads=(WorkloadState(1, woken_at=NOW - 500),),
        pods=(
            PodState("default", "p", "narrator", "eu", created_at=NOW - 500, ready_at=NOW - 450, address="10.0.0.1"),
        ),
        lease=LeaseState("7", RENEWED, sleep_at=ASKED),
        load=LoadState(as_of=NOW),
        local=LocalState(unready_since=NOW - 500),
    )
    return replace(base, **fields)


def test_a_region_that_is_asked_to_sleep_is_marked_and_then_goes_to_zero() -> None:
    first = decide(awake(), NOW)
    assert (first.phase, first.replicas, first.actions) == (Phase.AWAKE, 1, (MarkAsleep(),))
    marked = awake(lease=LeaseState("8", RENEWED, asleep_since=NOW, sleep_at=ASKED), load=LoadState(as_of=NOW + 1))
    second = decide(marked, NOW + 2)
    assert (second.phase, second.replicas, second.actions) == (Phase.DRAINING, 0, (ConfirmAsleep(),))
    assert second.message == "falling asleep: a user asked for it"
    asleep = decide(replace(marked, workloads=(WorkloadState(0),), pods=()), NOW + 3)
    assert (asleep.phase, asleep.message) == (Phase.ASLEEP, "asleep as a user asked; the next request wakes it")


UNKNOWN = LoadState(unknown_reason="no gateway is ready")
BUSY, HELD, WAITING = LoadState(open_requests=1), LoadState(held_requests=1), LoadState(waiting_sequences=1)


@pytest.mark.parametrize(
    "fields",
    [
        {"load": BUSY},
        {"load": HELD},
        {"load": WAITING},
        {"load": UNKNOWN},
        {"load": LoadState(as_of=NOW, last_request_finished_at=ASKED + 1)},
        {"local": LocalState(lease_trusted_at=NOW + 20)},
        {"lease": LeaseState("8", ASKED + 0.000001, sleep_at=ASKED)},
        {"lease": None},
        {"autoscaling": AUTOSCALING.model_copy(update={"min_replicas": 1})},
    ],
    ids=(
        "open",
        "held",
        "waiting",
        "unknown",
        "finished-later",
        "broken-watch",
        "renewed-later",
        "no-lease",
        "minimum",
    ),
)
def test_what_keeps_a_region_awake_keeps_it_when_it_is_asked_to_sleep(fields: dict[str, Any]) -> None:
    plan = decide(awake(**fields), NOW)
    assert (plan.phase, plan.replicas) == (Phase.AWAKE, 1)
    assert MarkAsleep() not in plan.actions


def test_a_later_renewal_voids_it_and_clears_it_in_one_write() -> None:
    renewed = LeaseState("8", NOW - 1, asleep_since=NOW - 2, sleep_at=ASKED)
    assert decide(awake(lease=renewed), NOW).actions == (ClearMark(with_sleep_request=True),)
    only_asked = LeaseState("8", NOW - 1, sleep_at=ASKED)
    assert decide(awake(lease=only_asked), NOW).actions == (ClearMark(with_sleep_request=True),)


def test_a_renewal_wakes_a_region_that_was_asked_to_sleep() -> None:
    seen = awake(workloads=(), pods=(), lease=LeaseState("9", NOW, asleep_since=NOW - 5, sleep_at=ASKED))
    plan = decide(seen, NOW)
    assert (plan.phase, plan.replicas, plan.actions) == (Phase.WAKING, 1, (ClearMark(with_sleep_request=True),))


def test_a_loading_server_is_not_killed_and_its_readiness_does_not_undo_the_request() -> None:
    lease = LeaseState("7", NOW - 55, sleep_at=ASKED)
    loading = awake(pods=(PodState("default", "p", "narrator", "eu", created_at=NOW - 50),), lease=lease)
    loading = replace(
        loading, workloads=(WorkloadState(1, woken_at=NOW - 55),), local=LocalState(unready_since=NOW - 55)
    )
    assert (decide(loading, NOW).phase, decide(loading, NOW).replicas) == (Phase.WAKING, 1)
    ready = replace(loading, pods=(PodState("default", "p", "narrator", "eu", created_at=NOW - 50, ready_at=NOW - 1),))
    assert decide(ready, NOW).actions == (MarkAsleep(),)


def test_the_message_has_what_it_waits_for() -> None:
    minimum = awake(autoscaling=AUTOSCALING.model_copy(update={"min_replicas": 2}))
    assert "no effect: minReplicas is 2" in decide(minimum, NOW).message
    assert "waits for 1 open or held requests" in decide(awake(load=HELD), NOW).message
    assert "no gateway is ready" in decide(awake(load=UNKNOWN), NOW).message
    assert sleep_request_texts(awake()) == sleep_request_texts(awake(lease=LeaseState("7", RENEWED), load=BUSY)) == []


def lease_body(renew_time: float, sleep_at: str) -> dict[str, Any]:
    metadata = {"resourceVersion": "1", "annotations": {names.ANNOTATION_SLEEP_AT: sleep_at}}
    return {"metadata": metadata, "spec": {"renewTime": to_micro_time(renew_time)}}


def test_a_clock_that_is_ahead_is_clamped_once() -> None:
    body = lease_body(NOW - 1, to_micro_time(NOW + 3600))
    first = parse_lease(body, None, Receipt(NOW, is_listing=False))
    assert (first.sleep_at, first.is_sleep_requested) == (NOW, True)
    again = parse_lease(lease_body(NOW + 5, to_micro_time(NOW + 3600)), first, Receipt(NOW + 6, is_listing=False))
    assert (again.sleep_at, again.is_sleep_requested) == (NOW, False)


def test_a_value_that_is_no_time_is_ignored() -> None:
    assert not parse_lease(lease_body(NOW, "soon"), None, Receipt(NOW, is_listing=False)).is_sleep_requested


@given(st.floats(NOW - 7200, NOW), st.floats(NOW - 7200, NOW))
def test_it_never_keeps_a_region_awake_for_longer(renewed_at: float, sleep_at: float) -> None:
    asked = awake(lease=LeaseState("7", renewed_at, sleep_at=sleep_at))
    without = awake(lease=LeaseState("7", renewed_at))
    until, usual = wanted_until(asked), wanted_until(without)
    assert until is not None
    assert usual is not None
    assert until <= usual
    assert (until == usual) or (renewed_at <= sleep_at == until)
