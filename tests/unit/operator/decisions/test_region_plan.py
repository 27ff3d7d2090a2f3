"""decide(observed, now): single transitions of a region, and properties that hold for every observable state."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_operator.decisions.actions import (
    ClearMark,
    ConfirmAsleep,
    Drain,
    MarkAsleep,
    MarkRetiring,
    Protect,
    RenewLease,
    UnmarkRetiring,
    Unprotect,
)
from voxfleet_operator.decisions.capacity.pools import pools_of
from voxfleet_operator.decisions.demand.idle_timers import clamp_renewal, wanted_until
from voxfleet_operator.decisions.failures import back_off_seconds
from voxfleet_operator.decisions.observed import (
    LeaseState,
    LoadState,
    LocalState,
    PodLoadState,
    PodState,
    RegionState,
    StartUpState,
    WorkloadState,
)
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.region_plan import decide
from voxfleet_operator.decisions.timestamps import to_micro_time
from voxfleet_operator.names import POOLS
from voxfleet_operator.resources import Autoscaling, Capacity, Failure, Phase, SpotUse

NOW = 1_795_000_000.0
IDLE = LoadState()
AUTOSCALING = Autoscaling(idle_timeout_seconds=60, wake_timeout_seconds=100, max_unknown_seconds=300)


def autoscaling_with(**fields: int) -> Autoscaling:
    return AUTOSCALING.model_copy(update=fields)


def pod(*, ready_at: float | None = None, **fields: object) -> PodState:
    seen = PodState("default", "p", "narrator", "eu", created_at=NOW - 50, ready_at=ready_at, address="10.0.0.1")
    return replace(seen, **fields)  # type: ignore[arg-type]


def region(**fields: object) -> RegionState:
    base = RegionState(
        "eu",
        generation=1,
        autoscaling=AUTOSCALING,
        lease=LeaseState("7"),
        load=IDLE,
        local=LocalState(unready_since=NOW),
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def awake(renewed_at: float = NOW - 10, **fields: object) -> RegionState:
    return region(
        workloads=(WorkloadState(1, woken_at=NOW - 500),),
        pods=(pod(ready_at=NOW - 450),),
        lease=LeaseState("7", renewed_at),
        **fields,
    )


def failure(**fields: object) -> Failure:
    known = {"failed_at": to_micro_time(NOW - 10), "retry_at": to_micro_time(NOW + 50), "generation": 1, "count": 1}
    return Failure.model_validate({"reason": "WakeTimeout", "message": "slow", **known, **fields})


def test_without_demand_a_region_is_asleep() -> None:
    plan = decide(region(), NOW)
    assert (plan.phase, plan.replicas) == (Phase.ASLEEP, 0)


def test_requests_that_an_earlier_resource_of_the_name_served_wake_no_region() -> None:
    seen = region(load=LoadState(last_request_finished_at=NOW - 1))
    assert (decide(seen, NOW).phase, decide(seen, NOW).replicas) == (Phase.ASLEEP, 0)


def test_a_renewal_wakes() -> None:
    plan = decide(region(lease=LeaseState("7", NOW - 1)), NOW)
    assert (plan.phase, plan.replicas, plan.woken_at) == (Phase.WAKING, 1, NOW)


def test_a_renewal_after_the_mark_wakes_and_clears_it() -> None:
    plan = decide(region(lease=LeaseState("7", NOW - 1, asleep_since=NOW - 2)), NOW)
    assert (plan.replicas, plan.actions) == (1, (ClearMark(),))


def test_a_marked_region_stays_asleep_even_when_its_idle_time_grows() -> None:
    lease = LeaseState("7", NOW - 100, asleep_since=NOW - 20)
    longer = autoscaling_with(idle_timeout_seconds=10_000)
    assert decide(region(lease=lease, autoscaling=longer), NOW).replicas == 0


def test_min_replicas_wakes_without_demand_and_never_sleeps() -> None:
    autoscaling = autoscaling_with(min_replicas=2)
    assert decide(region(autoscaling=autoscaling), NOW).replicas == 2
    assert decide(awake(NOW - 10_000, autoscaling=autoscaling), NOW).replicas == 2


def test_sleep_is_marked_on_the_lease_before_replicas_go_to_zero() -> None:
    seen = awake(NOW - 100)
    first = decide(seen, NOW)
    assert (first.phase, first.replicas, first.actions) == (Phase.AWAKE, 1, (MarkAsleep(),))
    marked = replace(seen, lease=LeaseState("8", NOW - 100, asleep_since=NOW))
    second = decide(replace(marked, load=LoadState(as_of=NOW + 1)), NOW + 2)
    assert (second.phase, second.replicas, second.actions) == (Phase.DRAINING, 0, (ConfirmAsleep(),))


def test_a_report_that_arrives_as_a_region_falls_asleep_still_explains_its_wake() -> None:
    start_up = StartUpState(process_seconds=9, loaded_seconds=3, warm_seconds=2, ready_at=NOW - 451)
    load = LoadState(as_of=NOW + 1, pods=(PodLoadState("10.0.0.1", NOW + 1, start_up=start_up),))
    recorded = decide(awake(), NOW).last_wake
    assert recorded is not None
    assert recorded.process_seconds is None
    marked = replace(awake(NOW - 100), lease=LeaseState("8", NOW - 100, asleep_since=NOW), last_wake=recorded)
    plan = decide(replace(marked, load=load), NOW + 2)
    assert plan.phase == Phase.DRAINING
    assert plan.last_wake is not None
    assert plan.last_wake.process_seconds == "9.00"


def test_zero_waits_for_readings_that_are_newer_than_the_mark() -> None:
    """A request between the readings and the mark is in no reading yet."""
    marked = replace(awake(NOW - 100), lease=LeaseState("8", NOW - 100, asleep_since=NOW))
    for as_of in (None, NOW - 1, NOW):
        plan = decide(replace(marked, load=LoadState(as_of=as_of)), NOW + 2)
        assert (plan.phase, plan.replicas, plan.actions, plan.requeue_at) == (Phase.AWAKE, 1, (), NOW + 7)
    busy = replace(marked, load=LoadState(as_of=NOW + 1, open_requests=1))
    assert decide(busy, NOW + 2).actions == (ClearMark(),)


def test_load_that_stays_unknown_for_too_long_needs_no_newer_reading() -> None:
    unknown = LoadState(unknown_reason="silent", as_of=NOW - 500)
    marked = replace(awake(NOW - 500), lease=LeaseState("8", NOW - 500, asleep_since=NOW - 1), load=unknown)
    assert decide(marked, NOW).replicas == 0


def test_a_renewal_between_mark_and_zero_wins() -> None:
    marked = awake(NOW - 100)
    renewed = replace(marked, lease=LeaseState("9", NOW + 0.1, asleep_since=NOW))
    plan = decide(renewed, NOW + 0.2)
    assert (plan.replicas, plan.actions) == (1, (ClearMark(),))


def test_a_request_that_arrives_after_the_mark_clears_it() -> None:
    seen = awake(NOW - 100, load=LoadState(open_requests=1))
    marked = replace(seen, lease=LeaseState("8", NOW - 100, asleep_since=NOW - 1))
    assert decide(marked, NOW).actions == (ClearMark(),)


def test_a_request_that_finished_lately_counts_like_a_renewal() -> None:
    seen = awake(NOW - 100, load=LoadState(last_request_finished_at=NOW - 5))
    assert wanted_until(seen) == NOW + 55
    assert decide(seen, NOW).actions == ()


def test_no_region_sleeps_soon_after_a_broken_watch() -> None:
    seen = awake(NOW - 100, local=LocalState(lease_trusted_at=NOW + 20))
    plan = decide(seen, NOW)
    assert (plan.replicas, plan.actions, plan.requeue_at) == (1, (), NOW + 20)


def test_without_its_lease_a_region_stays_awake() -> None:
    seen = replace(awake(NOW - 10_000), lease=None)
    plan = decide(seen, NOW)
    assert (plan.replicas, plan.actions) == (1, ())


def test_unknown_load_keeps_awake_with_a_warning_until_max_unknown_seconds() -> None:
    unknown = LoadState(unknown_reason="gateway 10.0.0.9 does not answer: refused")
    plan = decide(awake(NOW - 100, load=unknown), NOW)
    assert plan.replicas == 1
    assert [reason for reason, _ in plan.warnings] == ["LoadUnknown"]
    gave_up = decide(awake(NOW - 61 - 300, load=unknown), NOW)
    assert gave_up.actions == (MarkAsleep(),)


def test_the_first_ready_pod_renews_the_lease_once() -> None:
    seen = region(
        workloads=(WorkloadState(1, woken_at=NOW - 55),),
        pods=(pod(ready_at=NOW - 1),),
        lease=LeaseState("7", NOW - 55),
    )
    plan = decide(seen, NOW)
    assert plan.actions == (RenewLease(NOW - 1),)
    assert plan.last_wake is not None
    assert plan.last_wake.total_seconds == "54.00"
    again = replace(seen, lease=LeaseState("8", NOW - 1), last_wake=plan.last_wake)
    assert decide(again, NOW).actions == ()


def test_a_pod_that_flaps_does_not_renew_for_ever() -> None:
    seen = awake(NOW - 100)
    wake = decide(replace(seen, lease=LeaseState("7", NOW - 20)), NOW).last_wake
    flapped = replace(seen, pods=(pod(ready_at=NOW - 2),), last_wake=wake)
    assert decide(flapped, NOW).actions == (MarkAsleep(),)


def test_wrong_weights_fail_after_three_restarts_with_the_pods_message() -> None:
    broken = pod(exit_code=3, termination_message="model.safetensors is cut off")
    seen = region(workloads=(WorkloadState(1, woken_at=NOW),), lease=LeaseState("7", NOW))
    assert decide(replace(seen, pods=(replace(broken, restarts=2),)), NOW).phase == Phase.WAKING
    plan = decide(replace(seen, pods=(replace(broken, restarts=3),)), NOW)
    assert (plan.phase, plan.replicas, plan.message) == (Phase.FAILED, 0, "model.safetensors is cut off")
    assert plan.retry_after_seconds == 60


def pulling(failures: int, since: float, **fields: object) -> PodState:
    reason = fields.pop("waiting_reason", "ImagePullBackOff")
    known = {"waiting_reason": reason, "waiting_message": "not found: localhost/x", "scheduled_at": NOW - 60}
    return pod(pull_failures=failures, pull_failed_at=since, **known, **fields)


def waking(*pods_of_it: PodState) -> RegionState:
    return region(workloads=(WorkloadState(2, woken_at=NOW),), lease=LeaseState("7", NOW), pods=pods_of_it)


def test_an_image_fails_after_three_pulls_and_45_seconds_from_the_first_error() -> None:
    slow_node = {"created_at": NOW - 180}
    assert decide(waking(pulling(1, NOW, **slow_node)), NOW).phase == Phase.WAKING, "one 429 of the registry"
    assert decide(waking(pulling(3, NOW - 44, **slow_node)), NOW).phase == Phase.WAKING
    assert decide(waking(pulling(2, NOW - 90, **slow_node)), NOW).phase == Phase.WAKING, "the third pull takes long"
    plan = decide(waking(pulling(3, NOW - 45, **slow_node)), NOW)
    assert (plan.phase, plan.reason, plan.message) == (Phase.FAILED, "ImageNotFound", "not found: localhost/x")


def test_an_image_name_that_cannot_work_fails_at_once() -> None:
    assert decide(waking(pulling(0, NOW, waiting_reason="InvalidImageName")), NOW).reason == "ImageNotFound"


def test_a_pod_that_cannot_start_ends_no_wake_while_another_loads() -> None:
    loading = pod(name="q", scheduled_at=NOW - 20)
    damaged = pod(exit_code=3, restarts=3, scheduled_at=NOW - 60)
    for broken in (pulling(5, NOW - 90), damaged):
        assert decide(waking(broken, loading), NOW).phase == Phase.WAKING
        assert decide(waking(broken, replace(loading, scheduled_at=None)), NOW).phase == Phase.FAILED, "it has no node"
        assert decide(waking(broken, replace(loading, is_deleting=True)), NOW).phase == Phase.FAILED


def test_failed_waits_for_the_back_off_and_for_new_demand() -> None:
    failed = region(failure=failure(), lease=LeaseState("7", NOW - 5))
    plan = decide(failed, NOW)
    assert (plan.phase, plan.replicas, plan.requeue_at) == (Phase.FAILED, 0, NOW + 50)
    assert decide(failed, NOW + 50).replicas == 1
    no_demand_since = replace(failed, lease=LeaseState("7", NOW - 11))
    assert decide(no_demand_since, NOW + 50).phase == Phase.FAILED


def test_a_new_generation_is_tried_at_once() -> None:
    changed = region(failure=failure(), generation=2, lease=LeaseState("7", NOW - 5))
    assert decide(changed, NOW).phase == Phase.WAKING


def test_suspended_drains_and_stays_at_zero() -> None:
    assert decide(awake(is_suspended=True), NOW).phase == Phase.DRAINING
    assert decide(region(is_suspended=True), NOW).phase == Phase.SUSPENDED


def test_a_pod_that_is_being_deleted_drains_and_one_that_has_finished_does_not() -> None:
    for state in (region(), region(is_suspended=True)):
        assert decide(replace(state, pods=(pod(is_deleting=True),)), NOW).phase == Phase.DRAINING
        finished = replace(state, pods=(pod(is_finished=True), pod(is_finished=True, is_deleting=True)))
        assert decide(finished, NOW) == decide(state, NOW)


def test_a_clock_that_runs_ahead_counts_from_when_it_was_seen() -> None:
    assert clamp_renewal(NOW + 4, NOW) == (NOW + 4, False)
    assert clamp_renewal(NOW + 6, NOW) == (NOW, True)
    plan = decide(region(lease=LeaseState("7", NOW, is_clock_ahead=True)), NOW)
    assert "ClockSkew" in [reason for reason, _ in plan.warnings]


def test_the_message_of_a_waking_region_says_what_it_waits_for() -> None:
    stuck = pod(unschedulable_message="0/2 nodes are available: 2 Insufficient nvidia.com/gpu.")
    plan = decide(region(workloads=(WorkloadState(1, woken_at=NOW),), pods=(stuck,)), NOW)
    assert "Insufficient nvidia.com/gpu" in plan.message


def test_refused_pods_are_a_message_while_waking_and_a_warning_while_awake() -> None:
    refused = WorkloadState(1, woken_at=NOW, pods_refused="exceeded quota: gpus")
    plan = decide(region(workloads=(refused,)), NOW)
    assert plan.message == "the API server refuses its pods: exceeded quota: gpus"
    late = decide(region(workloads=(refused,)), NOW + 100)
    assert (late.reason, "exceeded quota: gpus" in late.message) == ("WakeTimeout", True)
    serving_on = decide(replace(awake(), workloads=(replace(refused, replicas=2),)), NOW)
    assert [reason for reason, _ in serving_on.warnings] == ["PodFailing"]
    assert "exceeded quota: gpus" in serving_on.warnings[0][1]


def test_the_message_says_how_the_container_ended_that_holds_the_pod_up() -> None:
    def message(**fields: object) -> str:
        return decide(region(workloads=(WorkloadState(1, woken_at=NOW),), pods=(pod(**fields),)), NOW).message

    killed = message(exit_code=137, termination_reason="OOMKilled", waiting_reason="CrashLoopBackOff")
    assert "container inference ended (exit code 137, OOMKilled); raise resources.limits.memory" in killed
    again = message(exit_code=1, termination_message="no route", container="fetch-weights", is_running=True)
    assert again == "pod p: container fetch-weights ended (exit code 1): no route; it runs again and is loading"


def test_another_containers_exit_code_says_nothing_about_the_weights() -> None:
    mesh = pod(container="istio-proxy", exit_code=3, restarts=9)
    seen = region(workloads=(WorkloadState(1, woken_at=NOW),), lease=LeaseState("7", NOW), pods=(mesh,))
    assert decide(seen, NOW).phase == Phase.WAKING


def test_a_pod_that_does_not_start_beside_a_ready_one_is_a_warning() -> None:
    broken = pod(name="q", waiting_reason="ImagePullBackOff", waiting_message="not found")
    unschedulable = pod(name="r", unschedulable_message="0/2 nodes are available")
    seen = awake()
    plan = decide(replace(seen, pods=(*seen.pods, broken, unschedulable)), NOW)
    assert (plan.phase, [reason for reason, _ in plan.warnings]) == (Phase.AWAKE, ["PodFailing", "NoSurgeCapacity"])


def asleep(workloads: tuple[WorkloadState, ...]) -> tuple[WorkloadState, ...]:
    return tuple(replace(workload, replicas=0) for workload in workloads)


# Properties. A region in any state that the operator could observe.

capacities = st.builds(
    Capacity,
    spot=st.sampled_from(SpotUse),
    on_demand_base=st.integers(0, 4),
    spot_fallback_seconds=st.integers(0, 300),
    wake_fallback_seconds=st.integers(0, 300),
)
timestamps = st.floats(NOW - 2000, NOW + 4, allow_nan=False)
maybe_instants = st.none() | timestamps
autoscalings = st.builds(
    Autoscaling,
    min_replicas=st.integers(0, 3),
    max_replicas=st.integers(3, 8),
    target_requests_per_replica=st.integers(1, 16),
    idle_timeout_seconds=st.integers(5, 1000),
    wake_timeout_seconds=st.integers(5, 1000),
    max_unknown_seconds=st.integers(0, 1000),
)
pods = st.builds(
    PodState,
    namespace=st.just("default"),
    name=st.just("p"),
    deployment=st.just("narrator"),
    region=st.just("eu"),
    created_at=timestamps,
    pool=st.sampled_from(POOLS),
    disrupted_at=maybe_instants,
    ready_at=maybe_instants,
    is_deleting=st.booleans(),
    is_finished=st.booleans(),
    restarts=st.integers(0, 5),
    waiting_reason=st.sampled_from(["", "ImagePullBackOff", "CrashLoopBackOff", "ErrImageNeverPull"]),
    exit_code=st.sampled_from([None, 1, 3, 137]),
    pull_failures=st.integers(0, 5),
    pull_failed_at=maybe_instants,
    scheduled_at=maybe_instants,
)
leases = st.builds(LeaseState, st.just("7"), maybe_instants, maybe_instants)
loads = st.builds(
    LoadState,
    unknown_reason=st.sampled_from(["", "no gateway is ready"]),
    open_requests=st.integers(0, 200),
    held_requests=st.integers(0, 200),
    waiting_sequences=st.integers(0, 5),
    last_request_finished_at=maybe_instants,
    as_of=maybe_instants,
)


def _failure_of(failed_at: float, generation: int, count: int) -> Failure:
    """A failure as it is recorded: the next wake is a back-off later."""
    retry_at = to_micro_time(failed_at + back_off_seconds(count))
    return failure(failed_at=to_micro_time(failed_at), retry_at=retry_at, generation=generation, count=count)


failures = st.builds(_failure_of, timestamps, st.integers(1, 2), st.integers(1, 20))
ready_pods = pods.map(
    lambda seen: replace(seen, is_deleting=False, is_finished=False, ready_at=seen.ready_at or NOW - 3)
)
unready_pods = pods.map(lambda seen: replace(seen, ready_at=None))
workload = st.builds(WorkloadState, st.integers(1, 8), maybe_instants, pool=st.sampled_from(POOLS))
workloads = st.lists(workload, min_size=1, max_size=2, unique_by=lambda each: each.pool).map(tuple)


def _with_own_names(pods: list[PodState]) -> tuple[PodState, ...]:
    return tuple(replace(pod, name=f"p{number}") for number, pod in enumerate(pods))


def regions_with(
    of_pods: st.SearchStrategy[PodState] = pods,
    *,
    workloads: st.SearchStrategy[tuple[WorkloadState, ...]] = st.just(()) | workloads | workloads.map(asleep),  # noqa: B008
    suspended: st.SearchStrategy[bool] = st.booleans(),  # noqa: B008
    least_pods: int = 0,
) -> st.SearchStrategy[RegionState]:
    return st.builds(
        RegionState,
        name=st.just("eu"),
        generation=st.just(1),
        autoscaling=autoscalings,
        capacity=capacities,
        is_suspended=suspended,
        workloads=workloads,
        pods=st.lists(of_pods, min_size=least_pods, max_size=4).map(_with_own_names),
        lease=st.none() | leases,
        load=loads,
        local=st.builds(LocalState, timestamps, st.just(0.0), timestamps, st.integers(0, 8)),
        failure=st.none() | failures,
    )


regions = regions_with()
serving = regions_with(ready_pods, workloads=workloads, suspended=st.just(False), least_pods=1)
loading = regions_with(unready_pods, workloads=workloads, suspended=st.just(False))


def applied(seen: RegionState, plan: RegionPlan, now: float) -> RegionState:
    """The region after the plan was applied, and before anything else happened."""
    applied_workloads = tuple(
        WorkloadState(
            plan.pools.of(pool),
            plan.woken_at,
            plan.woken_reason,
            pool=pool,
            region_replicas=plan.replicas,
            pool_replicas=plan.targets.of(pool),
        )
        for pool in POOLS
        if pool in pools_of(seen.capacity) or plan.pools.of(pool)
    )
    lease, marked = seen.lease, {}
    for action in plan.actions:
        match action:
            case MarkRetiring(ref, cost, at):
                marked[ref] = {"retiring_since": at, "deletion_cost": cost}
            case UnmarkRetiring(ref):
                marked[ref] = {"retiring_since": None, "deletion_cost": 0}
            case Protect(ref) | Unprotect(ref):
                marked[ref] = {**marked.get(ref, {}), "is_protected": isinstance(action, Protect)}
    for action in plan.actions if lease is not None else ():
        match action:
            case MarkAsleep():
                lease = replace(lease, asleep_since=now)
            case ConfirmAsleep():
                assert lease.is_marked_asleep
            case ClearMark():
                lease = replace(lease, asleep_since=None)
            case RenewLease(renew_to):
                lease = replace(lease, renewed_at=renew_to, asleep_since=None)
    begun = plan.woken_at if plan.replicas and not seen.replicas and plan.woken_at else seen.local.unready_since
    local = replace(seen.local, unready_since=begun)
    return replace(
        seen,
        workloads=applied_workloads,
        pods=tuple(replace(each, **marked.get(each.ref, {})) for each in seen.pods),  # type: ignore[arg-type]
        lease=lease,
        last_wake=plan.last_wake,
        failure=plan.failure,
        local=local,
        previous_phase=plan.phase,
    )


@settings(max_examples=100, deadline=None)
@given(regions)
def test_property_applying_plans_converges_within_four_steps(seen: RegionState) -> None:
    plans = [decide(seen, NOW)]
    for _ in range(4):
        seen = applied(seen, plans[-1], NOW)
        plans.append(decide(seen, NOW))
    pairs = itertools.pairwise(plans)
    # A drain is asked for until a reading of the server shows it.
    settled = (again for plan, again in pairs if again == plan)
    assert any(all(isinstance(action, Drain) for action in again.actions) for again in settled), plans


@settings(max_examples=100, deadline=None)
@given(serving)
def test_property_no_region_sleeps_with_requests_or_before_its_idle_timeout(seen: RegionState) -> None:
    plan = decide(seen, NOW)
    goes_to_sleep = plan.replicas == 0 or MarkAsleep() in plan.actions
    until = wanted_until(seen)
    if goes_to_sleep:
        assert until is not None
        assert until <= NOW
        assert seen.autoscaling.min_replicas == 0
        if seen.load.is_known:
            assert seen.load.is_idle
        else:
            assert until + seen.autoscaling.max_unknown_seconds <= NOW


@settings(max_examples=100, deadline=None)
@given(serving)
def test_property_zero_replicas_only_after_the_mark_and_newer_readings(seen: RegionState) -> None:
    plan = decide(seen, NOW)
    if plan.replicas == 0 and seen.lease is not None:
        assert seen.lease.is_marked_asleep
        assert plan.actions == (ConfirmAsleep(),)
        if seen.load.is_known:
            assert seen.load.as_of is not None
            assert seen.load.as_of > (seen.lease.asleep_since or 0)


@settings(max_examples=100, deadline=None)
@given(regions)
def test_property_replicas_stay_within_bounds(seen: RegionState) -> None:
    plan = decide(seen, NOW)
    assert 0 <= plan.replicas <= seen.autoscaling.max_replicas
    if plan.phase in (Phase.AWAKE, Phase.WAKING):
        assert plan.replicas >= max(1, seen.autoscaling.min_replicas)


@settings(max_examples=100, deadline=None)
@given(loading)
def test_property_a_loading_pod_is_never_deleted_for_idleness(seen: RegionState) -> None:
    plan = decide(seen, NOW)
    assert plan.replicas > 0 or plan.phase == Phase.FAILED
    is_recorded = seen.failure is not None and plan.failure == seen.failure  # before, and not applied everywhere yet
    if plan.phase == Phase.FAILED and plan.reason == "WakeTimeout" and not is_recorded:
        assert NOW - seen.local.unready_since >= seen.autoscaling.wake_timeout_seconds


@settings(max_examples=100, deadline=None)
@given(loading, pods)
def test_property_a_pod_that_progresses_keeps_a_wake_going(seen: RegionState, other: PodState) -> None:
    fresh = replace(other, ready_at=None, is_deleting=False, is_finished=False, scheduled_at=NOW, exit_code=None)
    more = replace(seen, pods=(*seen.pods, replace(fresh, waiting_reason="")))
    plan = decide(more, NOW)
    assert plan.phase == Phase.WAKING or plan.reason == "WakeTimeout"


@settings(max_examples=100, deadline=None)
@given(loading)
def test_property_a_load_ends_at_the_wake_timeout(seen: RegionState) -> None:
    much_later = seen.local.unready_since + seen.autoscaling.wake_timeout_seconds + 1
    assert decide(seen, much_later).phase == Phase.FAILED


@settings(max_examples=100, deadline=None)
@given(regions, pods)
def test_property_a_finished_pod_changes_no_decision(seen: RegionState, finished: PodState) -> None:
    """An evicted pod stays for days: it neither serves, nor loads, nor drains."""
    more = replace(seen, pods=(*seen.pods, replace(finished, is_finished=True)))
    assert decide(more, NOW) == decide(seen, NOW)


@settings(max_examples=100, deadline=None)
@given(serving)
def test_property_a_ready_pod_is_marked_before_its_deployment_is_lowered(seen: RegionState) -> None:
    plan = decide(seen, NOW)
    for workload in seen.workloads if plan.replicas else ():
        of_pool = [each for each in seen.ready_pods if each.pool == workload.pool]
        assert plan.pools.of(workload.pool) >= min(len(of_pool), workload.replicas)


@settings(max_examples=100, deadline=None)
@given(serving, st.integers(1, 4))
def test_property_a_fallback_is_no_reason_to_grow(seen: RegionState, replicas: int) -> None:
    """Both Deployments together have more replicas than the region shall have; that sum must not become the goal."""
    pools = (WorkloadState(replicas), WorkloadState(1, pool="spot", region_replicas=replicas))
    calm = replace(seen, workloads=pools, load=LoadState(open_requests=1), local=replace(seen.local, peak_replicas=1))
    preferred = replace(calm, capacity=Capacity(spot=SpotUse.PREFERRED))
    bounds = preferred.autoscaling
    assert decide(preferred, NOW).replicas <= max(replicas, bounds.min_replicas)
