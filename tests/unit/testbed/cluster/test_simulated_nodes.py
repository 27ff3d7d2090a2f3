"""kwok's configuration manages only its own nodes, and leaves pods that end themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_testbed.cluster.simulated_nodes import ANNOTATION_ENDS_ITSELF, STAGES, configuration, stages
from voxfleet_testbed.programs.go_builds import Programs


def stage(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": {"matchExpressions": [{"key": ".metadata"}]}}}


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    built = Programs(tmp_path)
    for name in STAGES:
        path = built.asset("kwok", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(stage(name.removesuffix(".yaml"))))
    return built


def test_only_the_deletion_of_pods_is_changed(programs: Programs) -> None:
    changed = [
        each["metadata"]["name"] for each in stages(programs) if len(each["spec"]["selector"]["matchExpressions"]) > 1
    ]
    assert changed == ["pod-delete"]


def test_a_pod_that_ends_itself_is_not_deleted(programs: Programs) -> None:
    (deletion,) = (each for each in stages(programs) if each["metadata"]["name"] == "pod-delete")
    assert deletion["spec"]["selector"]["matchExpressions"][-1] == {
        "key": f'.metadata.annotations["{ANNOTATION_ENDS_ITSELF}"]',
        "operator": "DoesNotExist",
    }


def test_other_nodes_are_not_managed() -> None:
    options = configuration("127.128.0.0/20", "127.64.0.1")["options"]
    assert not options["manageAllNodes"]
    assert options["manageNodesWithAnnotationSelector"] == "kwok.x-k8s.io/node=fake"
