"""Which template a Deployment gets: Replace never ends the last server, a failed one falls back to a proven one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.observed import LeaseState, LoadState, LocalState, PodState, RegionState, WorkloadState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.region_plan import decide
from voxfleet_operator.decisions.rollouts import (
    DeploymentState,
    Fallback,
    fallback,
    is_in_use,
    may_replace,
    proven_templates,
)
from voxfleet_operator.resources import Autoscaling, Failure, Phase

NOW = 1_795_000_000.0
GENERATION = 4
BROKEN = {"exit_code": 3, "restarts": 3, "termination_message": "model.safetensors is cut off"}


def pod(template: str, *, ready: bool = True, pool: str = "ondemand", **fields: object) -> PodState:
    known: dict[str, object] = {"created_at": NOW - 90, "template": template, "pool": pool, "scheduled_at": NOW - 80}
    known |= {"ready_at": NOW - 50 if ready else None, **fields}
    return PodState("default", f"{pool}-{template}", "narrator", "eu", **known)  # type: ignore[arg-type]


def region(*pods: PodState, workloads: tuple[WorkloadState, ...], **fields: object) -> RegionState:
    known: dict[str, object] = {"lease": LeaseState("7", NOW - 1), "load": LoadState(as_of=NOW), **fields}
    known |= {"pods": pods, "workloads": workloads, "local": LocalState(unready_since=NOW - 20)}
    return RegionState("eu", GENERATION, Autoscaling(idle_timeout_seconds=60), **known)  # type: ignore[arg-type]


def running(template: str, replicas: int = 1, **fields: object) -> tuple[WorkloadState, ...]:
    return (WorkloadState(replicas, woken_at=NOW - 20, template=template, **fields),)  # type: ignore[arg-type]


def next_state(seen: RegionState, plan: RegionPlan, *pods: PodState, template: str) -> RegionState:
    """The state after a plan was applied: its status, and Deployments with a template."""
    return replace(
        seen,
        workloads=running(template, plan.pools.on_demand) if plan.replicas else running(template, 0),
        pods=pods,
        failure=plan.failure,
        proven_templates=proven_templates(seen),
    )


def test_a_ready_pod_proves_its_template_and_nothing_else_does() -> None:
    assert proven_templates(region(pod("a"), workloads=running("a"))) == {"ondemand": "a"}
    assert proven_templates(region(pod("a", ready=False), workloads=running("a"))) == {}
    rolling = region(pod("a"), pod("b", ready=False), workloads=running("b"))
    assert proven_templates(rolling) == {"ondemand": "a"}
    done = region(pod("a"), pod("b"), workloads=running("b"), proven_templates={"ondemand": "a", "spot": "s"})
    assert proven_templates(done) == {"ondemand": "b", "spot": "s"}


def test_a_template_that_fails_at_a_wake_falls_back_to_the_last_that_worked_and_says_so() -> None:
    known = {"ondemand": "good"}
    failing = region(pod("bad", ready=False, **BROKEN), workloads=running("bad"), proven_templates=known)
    first = decide(failing, NOW)
    assert (first.phase, first.replicas) == (Phase.WAKING, 0), "the failed pod may hold the only GPU"
    assert first.failure is not None
    assert first.failure.templates == {"ondemand": "bad"}

    at_zero = next_state(failing, first, template="bad")
    second = decide(at_zero, NOW)
    assert (second.phase, second.replicas) == (Phase.WAKING, 1), "at once, without back-off"
    assert second.fallback.template_for("ondemand", "bad") == "good"

    serving = next_state(at_zero, second, pod("good"), template="good")
    third = decide(serving, NOW)
    assert (third.phase, third.failure, third.fallback) == (Phase.AWAKE, first.failure, second.fallback)
    ((reason, message),) = third.warnings
    assert reason == "FellBack"
    assert "model.safetensors is cut off" in message
    assert "generation 4" in message

    asleep = next_state(serving, replace(third, replicas=0), template="good")
    resting = decide(replace(asleep, lease=LeaseState("8", NOW - 1000)), NOW)
    assert (resting.phase, resting.failure) == (Phase.ASLEEP, first.failure)
    assert decide(asleep, NOW).fallback == second.fallback, "the next wake does not try it again"


def test_a_new_generation_is_tried_at_once() -> None:
    failure = Failure(
        reason="WeightsInvalid", failed_at="2026-11-01T00:00:00Z", retry_at="2026-11-01T00:01:00Z",
        generation=GENERATION - 1, templates={"ondemand": "bad"},
    )  # fmt: skip
    seen = region(pod("good"), workloads=running("good"), failure=failure, proven_templates={"ondemand": "good"})
    plan = decide(seen, NOW)
    assert plan.fallback == Fallback()
    assert plan.failure is None
    assert decide(replace(seen, pods=(), workloads=running("good", 0)), NOW).fallback == Fallback()


@pytest.mark.parametrize("known", [{}, {"ondemand": "bad"}, {"spot": "other"}])
def test_without_another_template_that_worked_a_failed_wake_fails(known: dict[str, str]) -> None:
    failing = region(pod("bad", ready=False, **BROKEN), workloads=running("bad"), proven_templates=known)
    plan = decide(failing, NOW)
    assert (plan.phase, plan.reason) == (Phase.FAILED, "WeightsInvalid")


def test_a_template_that_was_not_tried_is_not_replaced_by_an_older_one() -> None:
    chosen = Fallback({"ondemand": "bad"}, {"ondemand": "good", "spot": "s"})
    assert chosen.template_for("ondemand", "bad") == "good"
    assert chosen.template_for("ondemand", "newer") == "newer", "another release of the operator"
    assert chosen.template_for("spot", "bad") == "bad", "the spot pool's template did not fail"


templates = st.sampled_from(["a", "b", "c"])
pools = st.sampled_from(["ondemand", "spot"])


@given(st.dictionaries(pools, templates), st.dictionaries(pools, templates), st.dictionaries(pools, templates))
def test_property_a_fallback_is_to_a_template_that_worked_and_did_not_fail(
    failed: dict[str, str], proven: dict[str, str], wanted: dict[str, str]
) -> None:
    failure = Failure(reason="WakeTimeout", failed_at="x", retry_at="x", templates=failed)
    workloads = tuple(WorkloadState(1, template=each, pool=pool) for pool, each in wanted.items())
    seen = region(workloads=workloads, proven_templates=proven)
    chosen = fallback(seen, failure)
    for pool, template in wanted.items():
        used = chosen.template_for(pool, template)
        assert used == template or (used == proven[pool] and template == failed[pool])
    if chosen.proven:
        assert any(proven.get(pool, template) != template for pool, template in failed.items())
    assert fallback(seen, None) == Fallback()
    assert not is_in_use(Fallback(), seen)


deployments = st.dictionaries(
    st.tuples(st.sampled_from(["eu", "us", "ap"]), pools),
    st.builds(
        DeploymentState,
        st.builds(WorkloadState, replicas=st.integers(0, 3), template=templates),
        st.lists(st.builds(pod, templates, ready=st.booleans()), max_size=3).map(tuple),
    ),
    min_size=1,
)


@given(deployments)
def test_property_replace_leaves_a_server_and_begins_one_deployment_at_a_time(
    found: dict[tuple[str, str], DeploymentState],
) -> None:
    ready = sum(each.ready for each in found.values())
    for key, state in found.items():
        if not may_replace(key, found) or state.ready == 0:
            continue
        assert ready - 1 >= 1, "its rollout ends one server first"
        after = found | {key: replace(state, workload=replace(state.workload, replicas=1, template="new"))}
        assert after[key].is_rolling
        assert not any(may_replace(other, after) for other in after if other != key and after[other].ready)


def test_a_spot_pod_that_waits_for_a_node_holds_up_no_rollout() -> None:
    probe = pod("a", ready=False, pool="spot", scheduled_at=None)
    spot = WorkloadState(1, template="a", pool="spot")
    assert not DeploymentState(spot, (probe,)).is_rolling
    assert DeploymentState(spot, (replace(probe, scheduled_at=NOW),)).is_rolling
    assert DeploymentState(spot, (replace(probe, template="old"),)).is_rolling
    assert DeploymentState(spot, ()).is_rolling, "its pods are not made yet"
    on_demand = DeploymentState(WorkloadState(2, template="a"), (pod("a"), pod("a")))
    assert may_replace("ondemand", {"ondemand": on_demand, "spot": DeploymentState(spot, (probe,))})


def test_replace_waits_for_another_server_and_not_for_ever() -> None:
    alone = DeploymentState(running("a")[0], (pod("a"),))
    asleep = DeploymentState(WorkloadState(0, template="a"))
    assert not may_replace("eu", {"eu": alone, "us": asleep})
    assert may_replace("eu", {"eu": alone, "us": alone})
    assert may_replace("eu", {"eu": DeploymentState(running("a", 2)[0], (pod("a"), pod("a"))), "us": asleep})
    assert may_replace("eu", {"eu": DeploymentState(running("a")[0], (pod("a", ready=False),))}), "nothing to lose"
