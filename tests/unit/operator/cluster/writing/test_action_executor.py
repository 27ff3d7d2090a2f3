"""The patch of each action, and its precondition."""

from types import SimpleNamespace
from typing import Any

import pytest
from voxfleet_operator.cluster.api import NotFoundError
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.writing.action_executor import ActionExecutor
from voxfleet_operator.cluster.writing.pod_drainer import PodDrainer
from voxfleet_operator.decisions.actions import (
    Action,
    ClearMark,
    ConfirmAsleep,
    MarkAsleep,
    MarkRetiring,
    PodRef,
    Protect,
    RenewLease,
    UnmarkRetiring,
    Unprotect,
)
from voxfleet_operator.decisions.observed import LeaseState, RegionState
from voxfleet_operator.resources import Autoscaling, Key

NOW = 1_795_000_000.0
NARRATOR = Key("default", "narrator")
MARK = "voxfleet.dev/asleep-since"


class Recorder:
    """Records merge patches."""

    def __init__(self) -> None:
        self.patches: list[dict[str, Any]] = []

    async def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path.startswith("/apis/coordination.k8s.io/v1/namespaces/demand/leases/narrator-eu-")
        self.patches.append(body)
        metadata = {"namespace": "demand", "name": path.rpartition("/")[2], "uid": "u", "resourceVersion": "8"}
        return {"metadata": metadata}


@pytest.mark.parametrize(
    ("action", "annotations", "spec"),
    [
        (MarkAsleep(), {MARK: "2026-11-18T11:06:40.000000Z"}, None),
        (ClearMark(), {MARK: None}, None),
        (ConfirmAsleep(), None, None),
        (
            RenewLease(NOW - 1),
            {MARK: None},
            {"renewTime": "2026-11-18T11:06:39.000000Z", "holderIdentity": "voxfleet-operator"},
        ),
    ],
)
async def test_each_action_is_one_patch_of_the_lease_as_it_was_observed(
    action: Action, annotations: dict[str, Any] | None, spec: dict[str, Any] | None
) -> None:
    api, store = Recorder(), Store(lambda _key: None, lambda _key: None, 9091)
    executor = ActionExecutor(api, store, "demand", PodDrainer(""))  # type: ignore[arg-type] # only merge() is called
    seen = RegionState("eu", 1, Autoscaling(), lease=LeaseState("7"))
    await executor.execute(NARRATOR, seen, action, NOW)
    (patch,) = api.patches
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["metadata"].get("annotations") == annotations
    assert patch.get("spec") == spec


async def test_without_a_lease_nothing_is_sent() -> None:
    api, store = Recorder(), Store(lambda _key: None, lambda _key: None, 9091)
    executor = ActionExecutor(api, store, "demand", PodDrainer(""))  # type: ignore[arg-type] # only merge() is called
    await executor.execute(NARRATOR, RegionState("eu", 1, Autoscaling()), MarkAsleep(), NOW)
    assert api.patches == []


POD = PodRef("default", "pod-1")


@pytest.mark.parametrize(
    ("action", "annotations"),
    [
        (
            MarkRetiring(POD, -1_000_000, NOW),
            {
                "voxfleet.dev/retiring-since": "2026-11-18T11:06:40.000000Z",
                "controller.kubernetes.io/pod-deletion-cost": "-1000000",
            },
        ),
        (
            UnmarkRetiring(POD),
            {"voxfleet.dev/retiring-since": None, "controller.kubernetes.io/pod-deletion-cost": None},
        ),
        (
            Protect(POD),
            {
                "karpenter.sh/do-not-disrupt": "true",
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            },
        ),
        (
            Unprotect(POD),
            {"karpenter.sh/do-not-disrupt": None, "cluster-autoscaler.kubernetes.io/safe-to-evict": None},
        ),
    ],
)
async def test_each_action_on_a_pod_is_one_patch_of_its_annotations(
    action: Action, annotations: dict[str, Any]
) -> None:
    sent: list[tuple[str, dict[str, Any]]] = []

    async def merge(path: str, body: dict[str, Any]) -> dict[str, Any]:
        sent.append((path, body))
        raise NotFoundError(404, "gone")  # a pod that is gone meanwhile is no error

    api, store = SimpleNamespace(merge=merge), Store(lambda _key: None, lambda _key: None, 9091)
    executor = ActionExecutor(api, store, "demand", PodDrainer(""))  # type: ignore[arg-type] # only merge() is called
    await executor.execute(NARRATOR, RegionState("eu", 1, Autoscaling()), action, NOW)
    assert sent == [("/api/v1/namespaces/default/pods/pod-1", {"metadata": {"annotations": annotations}})]
