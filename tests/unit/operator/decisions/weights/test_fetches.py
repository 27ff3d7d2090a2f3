"""Weights that are fetched before a wake: which Job is to run, and what is wrong."""

from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.decisions.observed import (
    ClaimState,
    FetchProgress,
    JobState,
    LeaseState,
    PodState,
    RegionState,
    WeightsState,
    WorkloadState,
)
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.region_plan import decide
from voxfleet_operator.decisions.weights.fetches import Fetch, current_fetch, has_earlier_weights, missing_weights
from voxfleet_operator.resources import Autoscaling, Phase

NOW = 1_000_000.0
KEY = "key of these weights"
JOB = JobState("job-1", KEY, generation=1, created_at=NOW - 5)
COMPLETE = replace(JOB, is_complete=True)
POD = PodState("default", "job-1-x", "narrator", "", created_at=NOW - 5, job="job-1", scheduled_at=NOW - 4)
RENEWED = LeaseState("1", renewed_at=NOW - 1)


def region(*jobs: JobState, lease: LeaseState | None = None, **fields: Any) -> RegionState:
    weights = WeightsState(KEY, jobs=jobs, what="model.source hf://a/b", where="cache.weights.storageClassName fast")
    state = {name: fields.pop(name) for name in ("workloads", "generation") if name in fields}
    given: dict[str, Any] = {"generation": 1, "autoscaling": Autoscaling(), "lease": lease, **state}
    return RegionState(name="eu", weights=replace(weights, **fields), **given)


def test_without_a_key_nothing_is_fetched_and_nothing_missing() -> None:
    observed = RegionState("eu", 1, Autoscaling())
    assert current_fetch(observed, NOW) is None
    assert missing_weights(observed, NOW) is None
    assert decide(observed, NOW).phase == Phase.ASLEEP


def test_a_claim_that_does_not_exist_yet_comes_before_the_job() -> None:
    observed = region(key="", waits_for_claim=True)
    assert current_fetch(observed, NOW) is None
    missing = missing_weights(observed, NOW)
    assert missing is not None
    assert "its claim is being created" in missing.message


@pytest.mark.parametrize(("lease", "phase"), [(None, Phase.ASLEEP), (RENEWED, Phase.WAKING)])
def test_until_the_weights_are_fetched_no_server_starts(lease: LeaseState | None, phase: Phase) -> None:
    plan = decide(region(JOB, pods=(POD,), lease=lease), NOW)
    assert (plan.phase, plan.replicas, plan.reason) == (phase, 0, "FetchingWeights")
    assert "pod job-1-x is fetching" in plan.message
    assert plan.fetch == Fetch(KEY, 1)
    assert plan.requeue_at is not None


def test_the_progress_is_in_the_message() -> None:
    progress = {"job-1-x": FetchProgress(500_000_000, 2_000_000_000)}
    plan = decide(region(JOB, pods=(POD,), progress=progress), NOW)
    assert plan.message == "model.source hf://a/b: pod job-1-x has fetched 25 % (0.50 of 2.00 GB)"


def test_a_complete_job_lets_the_region_wake_and_is_kept_as_the_record() -> None:
    plan = decide(region(COMPLETE, lease=RENEWED), NOW)
    assert (plan.phase, plan.replicas) == (Phase.WAKING, 1)
    assert plan.fetch == Fetch(KEY, 1, is_done=True)
    assert not plan.awaits_weights


@pytest.mark.parametrize(
    ("job", "pod", "reason", "words"),
    [
        (
            replace(JOB, failed_at=NOW - 1, message="BackoffLimitExceeded"),
            replace(POD, exit_code=3, termination_message="cannot fetch hf://a/b: the repository is gated"),
            "WeightsNotFetched",
            "model.source hf://a/b: cannot fetch hf://a/b: the repository is gated",
        ),
        (
            JOB,
            replace(POD, waiting_reason="CreateContainerConfigError", waiting_message='secret "hf" not found'),
            "SecretNotFound",
            'model.secretRef hf: pod job-1-x: CreateContainerConfigError secret "hf" not found',
        ),
        (
            JOB,
            replace(POD, created_at=NOW - 61, unschedulable_message="pod has unbound immediate claims"),
            "ClaimNotBound",
            "cache.weights.storageClassName fast: claim c is Pending; pod has unbound immediate claims",
        ),
        (JOB, replace(POD, waiting_reason="ErrImagePull"), "ImageNotFound", "spec.image: pod job-1-x: ErrImagePull"),
        (replace(JOB, created_at=NOW - 61), None, "WeightsNotFetched", "no pod of Job job-1 was created"),
    ],
)
def test_a_fault_names_the_field_and_fails_the_region(
    job: JobState, pod: PodState | None, reason: str, words: str
) -> None:
    claim = ClaimState("c", "u", "Pending")
    pods = (pod,) if pod else ()
    plan = decide(region(job, pods=pods, claim=claim, secret="model.secretRef hf", lease=RENEWED), NOW)
    assert (plan.phase, plan.replicas, plan.reason) == (Phase.FAILED, 0, reason)
    assert words in plan.message
    assert plan.retry_after_seconds
    assert plan.retry_after_seconds >= 1


@pytest.mark.parametrize(
    ("failed_seconds_ago", "generation", "attempt"), [(59, 1, 2), (121, 1, 3), (1, 2, 3), (0, 1, 2)]
)
def test_a_failed_job_is_followed_after_the_back_off_or_a_change(
    failed_seconds_ago: float, generation: int, attempt: int
) -> None:
    job = replace(JOB, attempt=2, failed_at=NOW - failed_seconds_ago)
    assert current_fetch(region(job, generation=generation), NOW) == Fetch(KEY, attempt)


def test_a_change_of_the_spec_leaves_a_working_job_alone() -> None:
    assert current_fetch(region(JOB, pods=(POD,), generation=2), NOW) == Fetch(KEY, 1)


def test_other_weights_serve_until_the_new_ones_are_there() -> None:
    """Another revision: the Deployment's template reads the weights of an earlier Job."""
    earlier = replace(COMPLETE, name="job-0", weights="earlier key")
    workload = WorkloadState(replicas=0, template="digest", weights="earlier key")
    failed = replace(JOB, failed_at=NOW - 1)
    observed = region(earlier, failed, workloads=(workload,), lease=RENEWED)
    assert has_earlier_weights(observed)
    plan = decide(observed, NOW)
    assert (plan.phase, plan.replicas) == (Phase.WAKING, 1)
    assert plan.keeps_template
    assert plan.awaits_weights
    assert [reason for reason, _ in plan.warnings] == ["WeightsNotFetched"]
    assert "region eu keeps its earlier weights" in plan.warnings[0][1]


@pytest.mark.parametrize(
    ("workload", "is_earlier"),
    [
        (WorkloadState(replicas=0, template="d", weights=KEY), False),
        (WorkloadState(replicas=0, template="d", weights="never fetched"), False),
        (WorkloadState(replicas=0, template="d", weights=""), True),  # its pods download themselves
    ],
)
def test_earlier_weights_must_be_there(workload: WorkloadState, is_earlier: bool) -> None:  # noqa: FBT001
    assert has_earlier_weights(region(JOB, workloads=(workload,))) is is_earlier


def test_running_servers_stay_when_the_record_of_their_weights_is_deleted() -> None:
    ready = PodState("default", "p", "narrator", "eu", created_at=NOW - 100, ready_at=NOW - 50)
    workload = WorkloadState(replicas=2, template="d", weights=KEY)
    observed = replace(region(workloads=(workload,), lease=RENEWED), pods=(ready,))
    plan = decide(observed, NOW)
    assert plan.phase == Phase.AWAKE
    assert plan.fetch == Fetch(KEY, 1)
    assert plan.keeps_template


def test_a_refusal_fails_the_region_and_starts_no_job() -> None:
    plan = decide(region(refusal=("HostPathForbidden", "cache.weights.path /x is not below"), lease=RENEWED), NOW)
    assert (plan.phase, plan.reason, plan.fetch) == (Phase.FAILED, "HostPathForbidden", None)


def test_weights_of_a_deleted_claim_are_no_earlier_weights() -> None:
    earlier = replace(COMPLETE, weights="earlier key", claim_uid="gone")
    workload = WorkloadState(replicas=0, template="d", weights="earlier key")
    assert not has_earlier_weights(region(earlier, workloads=(workload,), claim_uids=frozenset({"new"})))
    assert has_earlier_weights(region(earlier, workloads=(workload,), claim_uids=frozenset({"gone", "new"})))


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("0/3 nodes are available: 3 node(s) had untolerated taint {team: x}.", "set podTemplate.tolerations"),
        ("0/3 nodes are available: 3 node(s) had volume node affinity conflict.", "in a zone without a free node"),
    ],
)
def test_a_job_without_a_node_says_so_after_five_minutes(message: str, remedy: str) -> None:
    def plan(seconds: float) -> RegionPlan:
        claim = ClaimState("c", "u", "Bound", created_at=NOW)
        pod = replace(POD, created_at=NOW, scheduled_at=None, unschedulable_message=message)
        return decide(region(JOB, pods=(pod,), claim=claim), NOW + seconds)

    assert (plan(299).phase, plan(299).reason) == (Phase.ASLEEP, "FetchingWeights")
    assert message in plan(299).message, "an autoscaler may be adding the node"
    assert (plan(300).phase, plan(300).reason) == (Phase.FAILED, "WeightsNotFetched")
    assert remedy in plan(300).message
    assert plan(300).fetch == Fetch(KEY, 1, "u"), "the Job still waits for a node"


def test_a_fetch_that_was_evicted_goes_on_in_the_same_job() -> None:
    evicted = replace(POD, name="job-1-a", is_finished=True, disrupted_at=NOW - 3, exit_code=143)
    second = replace(POD, name="job-1-b", created_at=NOW - 1)
    progress = {"job-1-a": FetchProgress(1, 4), "job-1-b": FetchProgress(3_000_000_000, 4_000_000_000)}
    for pods in ((evicted,), (evicted, second), (second, evicted)):
        plan = decide(region(JOB, pods=pods, progress=progress), NOW)
        assert (plan.phase, plan.reason, plan.fetch) == (Phase.ASLEEP, "FetchingWeights", Fetch(KEY, 1))
        assert not plan.warnings
    assert "pod job-1-b has fetched 75 %" in plan.message
