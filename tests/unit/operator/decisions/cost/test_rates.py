"""What a region holds: which pods have a GPU, and which zero replicas are savings."""

from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.decisions.cost.ledger import Rate
from voxfleet_operator.decisions.cost.rates import rate_of
from voxfleet_operator.decisions.observed import PodState, RegionState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.names import POOL_SPOT
from voxfleet_operator.resources import Autoscaling, Phase, Region

PRICED = Region.model_validate({"name": "eu", "pricePerGpuHour": {"spot": "0.35", "onDemand": "1.01"}})


def pod(name: str, **fields: Any) -> PodState:
    known = {"scheduled_at": 100.0} | fields
    return PodState("default", name, "narrator", "eu", created_at=99.0, **known)


def rate(
    phase: Phase, *pods: PodState, replicas: int = 0, gpus: int = 1, region: Region = PRICED, **fields: Any
) -> Rate:
    observed = replace(RegionState("eu", 1, Autoscaling(**fields)), pods=pods)
    return rate_of(region, observed, RegionPlan("eu", phase, replicas, "reason"), gpus)


def test_pods_hold_a_gpu_from_their_node_until_their_containers_have_ended() -> None:
    pods = (
        pod("waiting", scheduled_at=None),
        pod("loading"),
        pod("ready", ready_at=110.0),
        pod("ending", is_deleting=True, pool=POOL_SPOT),
        pod("evicted", is_finished=True),
        pod("fetching", job="fill"),
    )
    found = rate(Phase.AWAKE, *pods, replicas=3)
    assert (found.on_demand_gpus, found.spot_gpus, found.baseline_gpus) == (2, 1, 3)
    assert (found.on_demand_price, found.spot_price) == (1.01, 0.35)


@pytest.mark.parametrize("phase", Phase)
def test_only_a_region_that_sleeps_saves(phase: Phase) -> None:
    assert rate(phase).is_asleep == (phase == Phase.ASLEEP)


def test_a_pod_that_is_left_is_no_sleep_yet() -> None:
    found = rate(Phase.ASLEEP, pod("ending", is_deleting=True))
    assert (found.is_asleep, found.on_demand_gpus) == (False, 1)


def test_constant_replicas_are_one_at_least_and_as_many_as_are_asked_for() -> None:
    assert rate(Phase.ASLEEP).baseline_gpus == 1
    assert rate(Phase.AWAKE, replicas=4).baseline_gpus == 4
    assert rate(Phase.SUSPENDED, min_replicas=2).baseline_gpus == 2


def test_servers_on_cpus_hold_no_gpu() -> None:
    found = rate(Phase.AWAKE, pod("ready", ready_at=110.0), replicas=1, gpus=0)
    assert (found.on_demand_gpus, found.spot_gpus, found.baseline_gpus) == (0, 0, 0)


def test_without_prices() -> None:
    found = rate(Phase.AWAKE, region=Region(name="eu"))
    assert (found.on_demand_price, found.spot_price) == (None, None)
