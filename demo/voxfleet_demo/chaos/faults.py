"""The faults: what is done to the cluster, and undone where it does not mend itself.

Knows: kubectl and the testbed's outages. Does not know: load, or how requests end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from voxfleet_testbed.cluster.local_cluster import Cluster

from voxfleet_demo.chaos.key_rotation import ApiKeys, required_keys, rotate_and_revoke
from voxfleet_demo.chaos.outcomes import FaultKind
from voxfleet_demo.installation import REGIONS, SYSTEM_NAMESPACE, Installation, Values
from voxfleet_demo.scenario import wait_until

RESOURCE = "chaos"
OURS = f"--selector=voxfleet.dev/deployment={RESOURCE}"
TAKEN = REGIONS[1]
AWAY_SECONDS = 60.0  # of a node and the API server; Kubernetes notices a lost node after 40 to 50
SHORT_AWAY_SECONDS = 30.0  # of the operator and of a region
RECOVERY_SECONDS = 300.0
ROWS = 7, 8  # serving.maxBatchSize, in turn: any other value is another pod template


@dataclass(frozen=True, slots=True)
class Subject:
    """What faults happen to; `cluster` is None where the cluster is not the testbed's."""

    installation: Installation
    cluster: Cluster | None = None
    values: Values = field(default_factory=Values)  # that VoxFleet is installed with
    keys: ApiKeys = field(default_factory=ApiKeys)

    def system(self, *arguments: str) -> str:
        """Run kubectl in VoxFleet's own namespace."""
        return self.installation.kubectl("--namespace", SYSTEM_NAMESPACE, *arguments)

    def active(self, region: str) -> dict[str, Any]:
        """Return the inference pods of a region that are not terminating, by name."""
        pods = self.installation.fleet.pods(RESOURCE, region)
        return {pod.metadata.name: pod for pod in pods if pod.metadata.deletion_timestamp is None}

    def is_whole(self) -> bool:
        """Return whether every Deployment has all its pods ready, of its newest template, and every region serves."""
        listed = json.loads(self.system("get", "deployments", "--output=json"))["items"]
        regional = json.loads(self.installation.kubectl("get", "deployments", OURS, "--output=json"))["items"]
        phases = {row.get("phase") for row in self.installation.fleet.regions(RESOURCE).values()}
        is_settled = all(map(is_complete, [*listed, *regional])) and all(
            row["spec"]["replicas"] == 1 for row in regional
        )
        return is_settled and len(regional) == len(REGIONS) and phases == {"Awake"}

    def wait_whole(self) -> None:
        """Wait until nothing is missing.

        Raises:
            ScenarioError: something still is.
        """
        wait_until(self.is_whole, True, what="whether all parts are ready", within_seconds=RECOVERY_SECONDS)


Inject = Callable[[Subject], None]
Around = Callable[[Subject], AbstractContextManager[None]]


def roll_gateways(subject: Subject) -> None:
    """Restart both regions' gateways."""
    subject.installation.restart("gateway")


def roll_inference(subject: Subject) -> None:
    """Change the pod template of both regions, and wait until every old pod is being ended."""
    resource = subject.installation.fleet.resource(RESOURCE)
    rows = next(each for each in ROWS if each != resource["spec"].get("serving", {}).get("maxBatchSize"))
    old = {region: subject.active(region).keys() for region in REGIONS}
    patch = json.dumps({"spec": {"serving": {"maxBatchSize": rows}}})
    subject.installation.kubectl("patch", "vtts", RESOURCE, "--type=merge", f"--patch={patch}")

    def is_replaced(region: str) -> bool:
        pods = subject.active(region)
        return any(map(is_ready, pods.values())) and not pods.keys() & old[region]

    wait_until(
        lambda: all(is_replaced(region) for region in REGIONS),
        True,
        what="whether new inference pods serve alone",
        within_seconds=RECOVERY_SECONDS,
    )


def crash_node(subject: Subject) -> None:
    """Let a region's node die without closing a connection, and boot it again."""
    assert subject.cluster is not None  # noqa: S101 - runnable() has checked it
    (node,) = (node for node in subject.cluster.nodes if node.plan.region == TAKEN)
    node.crash()
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        node.reboot()


def take_region(subject: Subject) -> None:
    """Kill every pod of a region, its gateway included, and let none start there for a while."""
    selector = f"--selector=topology.kubernetes.io/region={TAKEN}"
    nodes = json.loads(subject.installation.kubectl("get", "nodes", selector, "--output=json"))["items"]
    names = [node["metadata"]["name"] for node in nodes]
    subject.installation.kubectl("cordon", *names)
    try:
        for name in names:
            fields = f"--field-selector=spec.nodeName={name}"
            now = ("--grace-period=0", "--force", "--wait=false")
            subject.installation.kubectl("delete", "pods", "--all-namespaces", fields, *now)
        time.sleep(SHORT_AWAY_SECONDS)
    finally:
        subject.installation.kubectl("uncordon", *names)


def stop_operator(subject: Subject) -> None:
    """Run no operator for a while."""
    name = ("deployment", "voxfleet-operator")
    replicas = subject.system("get", *name, "--output=jsonpath={.spec.replicas}")
    subject.system("scale", *name, "--replicas=0")
    time.sleep(SHORT_AWAY_SECONDS)
    subject.system("scale", *name, f"--replicas={replicas}")


def stop_api_server(subject: Subject) -> None:
    """Run no API server for a minute."""
    assert subject.cluster is not None  # noqa: S101 - runnable() has checked it
    subject.cluster.control_plane.restart_api_server(AWAY_SECONDS)


def require_keys(subject: Subject) -> AbstractContextManager[None]:
    """Let the gateways require API keys while the block runs."""
    return required_keys(subject.installation, subject.values, subject.keys, f"default/{RESOURCE}")


def rotate_keys(subject: Subject) -> None:
    """Rotate the clients' API key and revoke the old one."""
    rotate_and_revoke(subject.installation, subject.keys)


FAULTS: Mapping[FaultKind, Inject] = {
    FaultKind("gateways-roll", "both gateways are restarted"): roll_gateways,
    FaultKind("inference-rolls", "both regions get a new pod template"): roll_inference,
    FaultKind("operator-down", f"no operator for {SHORT_AWAY_SECONDS:.0f} s"): stop_operator,
    FaultKind("api-server-down", f"no API server for {AWAY_SECONDS:.0f} s"): stop_api_server,
    FaultKind("keys-rotate", "the clients' API key is rotated, and the old one revoked"): rotate_keys,
    FaultKind("region-vanishes", f"{TAKEN} has no pod for {SHORT_AWAY_SECONDS:.0f} s", TAKEN): take_region,
    FaultKind("node-dies", f"{TAKEN}'s node is dead for {AWAY_SECONDS:.0f} s", TAKEN): crash_node,
}
AROUND: Mapping[Inject, Around] = {rotate_keys: require_keys}  # what is the case from before the load to after it
NEEDS_TESTBED = {crash_node, stop_api_server}


def runnable(subject: Subject) -> list[FaultKind]:
    """Return the faults that this cluster can be given."""
    return [kind for kind, inject in FAULTS.items() if subject.cluster is not None or inject not in NEEDS_TESTBED]


def is_complete(deployment: Any) -> bool:
    """Return whether a Deployment's controller has nothing left to do, as `kubectl rollout status` has it."""
    wanted, status = deployment["spec"]["replicas"], deployment["status"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return counts == [wanted] * 3 and status.get("observedGeneration") == deployment["metadata"]["generation"]


def is_ready(pod: Any) -> bool:
    """Return whether a pod has condition Ready."""
    return any(row.type == "Ready" and row.status == "True" for row in pod.status.conditions or [])
