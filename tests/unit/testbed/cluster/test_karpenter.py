"""Instance types and NodePools have the form that Karpenter reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_testbed.cluster.karpenter import (
    GPU,
    LABEL_CAPACITY_TYPE,
    LABEL_INSTANCE_TYPE,
    ON_DEMAND,
    SPOT,
    Machine,
    NodePool,
    instance_types,
    node_pool,
)

PLACES = st.tuples(st.sampled_from(["eu-central", "us-east"]), st.sampled_from([SPOT, ON_DEMAND]))


def values(requirements: list[dict[str, Any]], key: str) -> list[str]:
    return [value for each in requirements if each["key"] == key for value in each["values"]]


@given(st.dictionaries(PLACES, st.floats(0.01, 90), min_size=1))
def test_every_price_is_one_offering_in_one_zone_of_its_region(prices: dict[tuple[str, str], float]) -> None:
    (written,) = instance_types([Machine("gpu-1", prices)])
    offered = {
        (
            *values(each["Requirements"], "topology.kubernetes.io/region"),
            *values(each["Requirements"], LABEL_CAPACITY_TYPE),
        ): each["Price"]
        for each in written["offerings"]
    }
    assert offered == prices
    assert all(len(values(each["Requirements"], "topology.kubernetes.io/zone")) == 1 for each in written["offerings"])


def test_a_machine_has_its_gpus() -> None:
    (written,) = instance_types([Machine("gpu-4", {("eu-central", SPOT): 1.0}, gpus=4)])
    assert written["resources"][GPU] == "4"


def test_a_pool_has_one_capacity_type_and_the_taint_of_gpu_nodes() -> None:
    spec = node_pool(NodePool("spot", SPOT))["spec"]["template"]["spec"]
    assert values(spec["requirements"], LABEL_CAPACITY_TYPE) == [SPOT]
    assert [(taint["key"], taint["effect"]) for taint in spec["taints"]] == [(GPU, "NoSchedule")]


@pytest.mark.parametrize(("limit", "expected"), [(None, None), (0, {GPU: "0"}), (8, {GPU: "8"})])
def test_a_limit_of_zero_differs_from_none(limit: int | None, expected: dict[str, str] | None) -> None:
    assert node_pool(NodePool("spot", SPOT, gpu_limit=limit))["spec"].get("limits") == expected


def test_a_pool_may_be_restricted_to_machines() -> None:
    restricted = node_pool(NodePool("spot", SPOT, machines=("gpu-1", "gpu-4")))["spec"]["template"]["spec"]
    free = node_pool(NodePool("spot", SPOT))["spec"]["template"]["spec"]
    assert values(restricted["requirements"], LABEL_INSTANCE_TYPE) == ["gpu-1", "gpu-4"]
    assert values(free["requirements"], LABEL_INSTANCE_TYPE) == []
