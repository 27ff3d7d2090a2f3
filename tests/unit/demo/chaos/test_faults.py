"""When a Deployment has nothing left to do: a table."""

from typing import Any

import pytest
from voxfleet_demo.chaos.faults import is_complete


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, True),
        ({"readyReplicas": 0}, False),
        ({"updatedReplicas": 0}, False),
        ({"replicas": 2}, False),  # an old pod, or one that replaces a pod which leaves
        ({"observedGeneration": 3}, False),  # the change has not been read yet
    ],
)
def test_a_deployment_is_complete_with_all_its_pods_ready_and_new(status: dict[str, int], expected: bool) -> None:  # noqa: FBT001 - a table
    whole = {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 4}
    deployment: Any = {"metadata": {"generation": 4}, "spec": {"replicas": 1}, "status": whole | status}
    assert is_complete(deployment) is expected
