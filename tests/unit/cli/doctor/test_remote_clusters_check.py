"""The check of remote regions' clusters: one that is right, and each thing that commonly goes wrong with one."""

from dataclasses import replace
from typing import Any

import pytest
from voxfleet_cli.doctor.checks import examine
from voxfleet_cli.doctor.facts import Facts, Finding, State
from voxfleet_cli.doctor.observed import Right, Unread
from voxfleet_cli.doctor.remote_facts import RemoteCluster, RemoteRegion


def pod(component: str, image: str = "ghcr.io/voxfleet/gateway:1.2", *, is_ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(is_ready)}]
    labels = {"app.kubernetes.io/component": component}
    return {
        "metadata": {"name": component, "labels": labels},
        "spec": {"containers": [{"image": image}]},
        "status": {"conditions": conditions},
    }


def lease(region: str) -> dict[str, Any]:
    labels = {"namespace": "apps", "deployment": "narrator", "region": region}
    return {"metadata": {"name": "l", "labels": {f"voxfleet.dev/{name}": value for name, value in labels.items()}}}


FAR, FURTHER = (RemoteRegion("apps", "narrator", name) for name in ("far", "further"))
RIGHT = Right("hub", "patch", "apps", "deployments", "", is_allowed=True)
GOOD = RemoteCluster(
    "apps/far-kubeconfig",
    (FAR, FURTHER),
    version={"minor": "34", "gitVersion": "v1.34.1"},
    rights=(RIGHT,),
    objects={"pods": [pod("gateway")], "leases": [lease("far"), lease("further")]},
)
MAY_READ = Right("operator's Secrets", "get", "", "secrets", "apps", is_allowed=True)


def findings(*clusters: RemoteCluster, **fields: Any) -> list[Finding]:
    objects: dict[str, Any] = {"resources": [], "system pods": [pod("gateway")]}
    facts = Facts("vox", "demand", 0.0, objects=objects, remotes=clusters, **{"rights": (MAY_READ,), **fields})
    return [each for each in examine(facts) if each.check == "remote clusters"]


def test_a_cluster_that_is_right_is_one_line() -> None:
    (found,) = findings(GOOD)
    assert found.state is State.OK
    assert found.text.startswith("the cluster of region far of apps/narrator and 1 more (Secret apps/far-kubeconfig): ")


def test_without_remote_regions_there_is_nothing_to_check() -> None:
    (found,) = findings()
    assert (found.state, found.text) == (State.OK, "no region is in another cluster")


@pytest.mark.parametrize(
    ("changed", "state", "text", "command"),
    [
        ({"error": "Secret is missing"}, State.FAILURE, "can't be used: Secret is missing", "voxfleet explain -n apps"),
        (
            {"error": "timed out", "is_local_error": True},
            State.WARNING,
            "can't be used from here: timed out",
            "explain",
        ),
        ({"version": {"minor": "29", "gitVersion": "v1.29.0"}}, State.WARNING, "1.32 to 1.37", "--context THEIRS"),
        ({"clock_ahead_seconds": -40.0}, State.WARNING, "clock is 40 s behind this cluster's", "timedatectl"),
        (
            {"rights": (replace(RIGHT, is_allowed=False),)},
            State.FAILURE,
            "may not patch deployments.apps",
            "hubAccess.enabled=true",
        ),
        (
            {"objects": {**GOOD.objects, "pods": [pod("gateway", is_ready=False)]}},
            State.FAILURE,
            "none of 1 gateways in namespace vox is ready",
            "kubectl --context THEIRS get pods -n vox",
        ),
        (
            {"objects": {**GOOD.objects, "pods": [pod("gateway", "ghcr.io/voxfleet/gateway:1.1")]}},
            State.WARNING,
            "its gateways run gateway:1.1, this cluster's gateway:1.2",
            "helm --kube-context THEIRS upgrade",
        ),
        (
            {"objects": {**GOOD.objects, "leases": [lease("far")]}},
            State.FAILURE,
            "region further of apps/narrator has no Lease in demand of its cluster",
            "voxfleet explain -n apps narrator",
        ),
        (
            {"objects": {**GOOD.objects, "pods": [pod("gateway"), pod("operator")]}},
            State.WARNING,
            "runs an operator of its own: it must have no VoxTTSDeployment apps/narrator",
            "--set operator.enabled=false",
        ),
    ],
)
def test_what_is_wrong_is_the_only_finding(changed: dict[str, Any], state: State, text: str, command: str) -> None:
    (found,) = findings(replace(GOOD, **changed))
    assert (found.state, text in found.text, command in found.command) == (state, True, True), found


def test_a_clock_that_both_clusters_share_is_no_skew() -> None:
    (found,) = findings(replace(GOOD, clock_ahead_seconds=90.0), clock_ahead_seconds=90.0)
    assert found.state is State.OK


def test_a_right_to_kinds_that_the_cluster_may_not_have_is_not_missed() -> None:
    monitors = replace(RIGHT, group="monitoring.coreos.com", resource="podmonitors", is_allowed=False)
    assert findings(replace(GOOD, rights=(RIGHT, monitors)))[0].state is State.OK


def test_what_the_account_may_not_read_is_left_to_the_finding_about_its_rights() -> None:
    unread = {"pods": Unread("forbidden"), "leases": Unread("forbidden")}
    (found,) = findings(replace(GOOD, objects=unread, rights=(replace(RIGHT, is_allowed=False),)))
    assert "may not" in found.text


def test_the_operator_must_be_able_to_read_the_secret() -> None:
    (found,) = findings(GOOD, rights=(replace(MAY_READ, is_allowed=False),))
    assert (found.state, "secretNamespaces={apps}" in found.command) == (State.FAILURE, True)
