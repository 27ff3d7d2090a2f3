"""Each check against an installation that is right, and against each thing that commonly goes wrong."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.doctor.checks import CHECKS, examine, worst
from voxfleet_cli.doctor.checks.capacity import SPOT_LABELS
from voxfleet_cli.doctor.facts import Facts, Finding, State
from voxfleet_cli.doctor.needed_rights import ALL, DEMAND, OPERATOR_NEEDS, SYSTEM
from voxfleet_cli.doctor.observation import observe
from voxfleet_cli.doctor.observed import Right, Unread
from voxfleet_cli.errors import ForbiddenError
from voxfleet_operator.kinds import EVENTS, TABLE, Scope
from voxfleet_operator.manifests.pods.capacity_labels import CAPACITY_LABELS

ROOT = Path(__file__).parents[4]
CRD = yaml.safe_load((ROOT / "crds" / "voxfleet.dev_voxttsdeployments.yaml").read_text())
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()
OK, WARNING, FAILURE, NOT_CHECKED = State.OK, State.WARNING, State.FAILURE, State.NOT_CHECKED

Objects = dict[str, Any]


def pod(component: str, name: str, **labels: str) -> Objects:
    return {
        "metadata": {
            "namespace": "vox", "name": name, "labels": {"app.kubernetes.io/component": component, **labels},
        },
        "spec": {},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


def labels(region: str = "") -> Objects:
    of_region = {"voxfleet.dev/region": region} if region else {}
    return {"voxfleet.dev/namespace": "apps", "voxfleet.dev/deployment": "narrator", **of_region}


def healthy() -> Objects:
    ready = {"type": "Ready", "status": "True", "reason": "Asleep"}
    return {
        "version": {"minor": "34+", "gitVersion": "v1.34.1"},
        "definition": CRD,
        "resources": [
            {
                "metadata": {"namespace": "apps", "name": "narrator"},
                "spec": {"regions": [{"name": "eu"}, {"name": "far", "kubeConfigSecretRef": {"name": "k"}}]},
                "status": {"conditions": [ready, {"type": "Degraded", "status": "False", "reason": "AsExpected"}]},
            }
        ],
        "nodes": [
            {
                "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/region": "eu"}},
                "status": {"allocatable": {"nvidia.com/gpu": "2", "cpu": "8"}},
            }
        ],
        "pods": [pod("inference", "p1")],
        "storage classes": [
            {"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
        ],
        "claims": [{"metadata": {"namespace": "apps", "name": "w"}, "status": {"phase": "Bound"}}],
        "network policies": [{"metadata": {"namespace": "apps", "name": "p", "labels": labels()}}],
        "node pools": [{"metadata": {"name": "gpu"}, "spec": {}}],
        "cluster autoscaler": Unread("not found", is_absent=True),
        "system pods": [pod("operator", "op"), pod("gateway", "gw"), pod("dns", "dns")],
        "system services": [{"metadata": {"namespace": "vox", "name": "voxfleet-gateway"}, "spec": {}}],
        "leases": [
            {
                "metadata": {"namespace": "demand", "name": "l", "labels": labels("eu")},
                "spec": {"renewTime": "2026-11-30T12:00:04Z", "holderIdentity": "gw"},
            }
        ],
    }


ALLOWED = (
    Right("operator", "list", "", "pods", "", is_allowed=True),
    Right("you", "get", "voxfleet.dev", "voxttsdeployments", "", is_allowed=True, purpose="status"),
)


def facts(objects: Objects | None = None, **fields: Any) -> Facts:
    given: dict[str, Any] = {"rights": ALLOWED, "resolved": {"eu.example.com": ""}, **fields}
    return Facts("vox", "demand", NOW, objects=healthy() if objects is None else objects, **given)


def found(check: str, given: Facts) -> list[Finding]:
    return [each for each in examine(given) if each.check == check]


def test_a_right_that_is_missing_is_named_once_and_without_the_api_path() -> None:
    said = (
        'pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "vox"',
        'x is forbidden: User "u" cannot get resource "leases" in API group "coordination.k8s.io" at the cluster scope',
        "RBAC is not ready",
    )
    lacking = [
        ForbiddenError(f"can't read /a/path: {each}; `voxfleet doctor` lists the rights").lacking for each in said
    ]
    assert lacking == ["list pods in vox", "get leases.coordination.k8s.io", ""]


def test_an_installation_that_is_right_has_one_ok_per_check() -> None:
    findings = examine(facts())
    assert {each.state for each in findings} == {OK}, findings
    assert {each.check for each in findings} == set(CHECKS)
    assert worst(findings) is OK


def change(path: str, value: Any) -> Callable[[Objects], None]:
    """Set what a path of names and indices leads to."""

    def apply(objects: Objects) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split("|")]
        at: Any = objects
        for part in way:
            at = at[part]
        at[last] = value

    return apply


def unready(index: int) -> Callable[[Objects], None]:
    return change(f"system pods|{index}|status", {"phase": "Pending", "conditions": []})


WAITING = [{"image": "x:1", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]
NO_POOLS = change("node pools", [])
CASES: list[tuple[str, list[Callable[[Objects], None]], State, str, str]] = [
    ("Kubernetes", [change("version|minor", "29")], WARNING, "1.32 to 1.37 are supported", "kubectl version"),
    (
        "CRD",
        [change("definition", Unread("none", is_absent=True))],
        FAILURE,
        "does not exist",
        "helm upgrade --install",
    ),
    ("CRD", [change("definition|spec|versions|0|served", False)], FAILURE, "v1alpha1", "-n vox"),
    (
        "CRD",  # of a Helm release in another namespace than the gateways'
        [
            change("definition|metadata|annotations", {"meta.helm.sh/release-namespace": "default"}),
            change("definition|spec|versions|0|served", False),
        ],
        FAILURE,
        "v1alpha1",
        "charts/voxfleet-crds -n default",
    ),
    ("CRD", [change("definition|spec|versions|0|schema", {})], WARNING, "older than this command", "helm upgrade"),
    ("operator", [change("system pods", [])], FAILURE, "no operator pod in namespace vox", "helm install"),
    ("operator", [unready(0)], FAILURE, "none of 1 operator pods is ready", "kubectl describe pods -n vox"),
    ("gateways", [unready(1)], FAILURE, "requests are not served: gw: Pending", "component=gateway"),
    (
        "gateways",
        [change("system pods|1", pod("gateway", "gw", **{"voxfleet.dev/region": "us"}))],
        WARNING,
        "region eu of apps/narrator has no gateway of its own",
        "helm upgrade",
    ),
    (
        "resources",
        [change("resources|0|status|conditions|0", {"type": "Ready", "status": "False", "reason": "NameTaken"})],
        FAILURE,
        "Ready is False (NameTaken)",
        "voxfleet explain -n apps narrator",
    ),
    (
        "resources",
        [change("resources|0|status|conditions|1", {"type": "Degraded", "status": "True", "reason": "FellBack"})],
        WARNING,
        "Degraded is True (FellBack)",
        "voxfleet explain",
    ),
    ("resources", [change("resources|0|status", {})], WARNING, "no status yet", "voxfleet explain"),
    (
        "images",
        [change("pods|0|status", {"containerStatuses": WAITING})],
        FAILURE,
        "ImagePullBackOff of x:1",
        "kubectl describe pod -n vox p1",
    ),
    (
        "region nodes",
        [NO_POOLS, change("nodes|0|metadata|labels", {})],
        FAILURE,
        "no node has topology.kubernetes.io/region=eu",
        "kubectl label node NODE topology.kubernetes.io/region=eu",
    ),
    ("region nodes", [change("nodes", [])], WARNING, "Karpenter must be able to make one", "kubectl get nodepools"),
    (
        "GPUs",
        [NO_POOLS, change("nodes|0|status|allocatable", {"cpu": "8"})],
        FAILURE,
        "none of its 1 nodes offers nvidia.com/gpu",
        "nvidia-device-plugin",
    ),
    ("GPUs", [change("nodes|0|status", {})], WARNING, "driver or device plugin is missing", "helm install"),
    ("GPUs", [NO_POOLS, change("nodes", [])], FAILURE, "it has no nodes", "kubectl get nodes -L"),
    (
        "GPUs",
        [change("resources|0|spec|gpu", {"resourceName": "deviceclass.resource.kubernetes.io/gpu"})],
        NOT_CHECKED,
        "offered by DRA",
        "kubectl get resourceslices",
    ),
    ("autoscaler", [NO_POOLS], WARNING, "no sign of Karpenter", "kubectl get pods -A"),
    (
        "spot",
        [change("resources|0|spec|capacity", {"spot": "Required"})],
        FAILURE,
        "no node or NodePool has a spot label",
        "kubectl label node NODE voxfleet.dev/capacity-type=spot",
    ),
    ("spot", [change("resources|0|spec|capacity", {"spot": "Preferred"})], WARNING, "asks for spot", "kubectl label"),
    ("storage", [change("claims|0|status", {"phase": "Pending"})], WARNING, "claim apps/w is Pending", "describe pvc"),
    (
        "storage",
        [
            change(
                "resources|0|spec|cache", {"weights": {"type": "PersistentVolumeClaim", "storageClassName": "slow"}}
            ),
        ],
        FAILURE,
        "StorageClass slow, which does not exist (existing: fast)",
        "kubectl edit vtts -n apps narrator",
    ),
    (
        "storage",
        [
            change("storage classes|0|metadata|annotations", {}),
            change("resources|0|spec|cache", {"weights": {"type": "PersistentVolumeClaim"}}),
        ],
        FAILURE,
        "none is the cluster's default",
        "kubectl edit vtts",
    ),
    (
        "clocks",
        [change("leases|0|spec|renewTime", "2026-11-30T12:01:00Z")],
        WARNING,
        "the clock of gw is 60 s ahead",
        "grep gw",
    ),
    ("demand Leases", [change("leases", [])], FAILURE, "region eu of apps/narrator has no Lease in demand", "explain"),
    ("DNS", [change("system services", [])], FAILURE, "no Service voxfleet-gateway", "helm upgrade"),
    ("DNS", [unready(2)], WARNING, "1 of 1 DNS servers are not ready", "component=dns"),
    (
        "DNS",
        [
            change(
                "system services",
                [
                    {"metadata": {"name": "voxfleet-gateway"}, "spec": {}},
                    {"metadata": {"name": "voxfleet-dns"}, "spec": {"type": "LoadBalancer"}},
                ],
            )
        ],
        WARNING,
        "no external address yet",
        "kubectl describe service voxfleet-dns -n vox",
    ),
    ("NetworkPolicies", [change("network policies", [])], WARNING, "apps/narrator has no NetworkPolicy", "explain"),
]


@pytest.mark.parametrize(
    ("check", "changes", "state", "text", "command"), CASES, ids=[f"{each[0]}: {each[3]}" for each in CASES]
)
def test_what_is_wrong_is_found_with_the_way_out(
    check: str, changes: list[Callable[[Objects], None]], state: State, text: str, command: str
) -> None:
    objects = copy.deepcopy(healthy())
    for each in changes:
        each(objects)
    first = next(each for each in found(check, facts(objects)) if text in each.text)
    assert (first.state, command in first.command) == (state, True), first


DENIED = Right("operator", "patch", "apps", "deployments", "", is_allowed=False)
MAY_NOT = Right("you", "patch", "coordination.k8s.io", "leases", "demand", is_allowed=False, purpose="wake, sleep")


@pytest.mark.parametrize(
    ("check", "fields", "state", "text"),
    [
        ("operator's rights", {"rights": (DENIED,)}, FAILURE, "it may not patch deployments.apps"),
        ("operator's rights", {"rights": ()}, NOT_CHECKED, "create subjectaccessreviews"),
        (
            "your rights",
            {"rights": (MAY_NOT,)},
            WARNING,
            "patch leases.coordination.k8s.io in demand, which wake, sleep",
        ),
        ("clocks", {"clock_ahead_seconds": -90.0}, WARNING, "90 s ahead of the API server's"),
        ("DNS", {"resolved": {"eu.example.com": "unknown name"}}, WARNING, "eu.example.com does not resolve"),
        ("API keys", {"key_count": 2, "mistaken_keys": {"k-1": "expired"}}, WARNING, "key k-1 is expired"),
        ("API keys", {"key_count": 1, "mistaken_keys": {"k": "ignored: hash"}}, FAILURE, "ignored: hash"),
        ("API keys", {"mistaken_keys": Unread("gone", is_absent=True)}, FAILURE, "Secret does not exist"),
        ("API keys", {"mistaken_keys": Unread("forbidden")}, NOT_CHECKED, "forbidden"),
    ],
)
def test_what_is_wrong_beside_objects(check: str, fields: dict[str, Any], state: State, text: str) -> None:
    first = found(check, facts(**fields))[0]
    assert (first.state, text in first.text) == (state, True), first


def test_a_check_whose_facts_can_not_be_read_says_why_and_decides_nothing() -> None:
    objects = {name: Unread("forbidden to you") for name in healthy()}
    findings = examine(facts(objects, rights=(), mistaken_keys=Unread("forbidden to you")))
    unread = {each.check for each in findings if each.state is NOT_CHECKED}
    assert unread == set(CHECKS) - {each.check for each in findings if each.state is not NOT_CHECKED}
    assert worst(findings) is OK
    assert all(each.text for each in findings)


def test_a_servers_resource_that_is_not_a_gpu() -> None:
    objects = healthy()
    objects["resources"][0]["spec"]["gpu"] = {"count": 0}
    objects["nodes"][0]["status"] = {}
    assert found("GPUs", facts(objects))[0].state is OK


def test_the_rights_are_those_of_the_operators_kinds() -> None:
    scopes = {Scope.SYSTEM: SYSTEM, Scope.DEMAND: DEMAND}
    needed: dict[tuple[str, str, str], set[str]] = {}
    # What only notebooks need is granted where they are offered; definitions are granted by name, which no review asks.
    for kind in (each for each in TABLE if not each.is_of_notebooks and each.kind != "CustomResourceDefinition"):
        group = kind.api_version.rpartition("/")[0]
        key = (group, kind.plural, scopes.get(kind.scope, ALL))
        needed.setdefault(key, set()).update(kind.verbs)
    needed["", "events", ALL] |= {"create", "patch"}  # its own Events, about VoxTTSDeployments
    asked = {(need.group, need.resource, need.scope): set(need.verbs) for need in OPERATOR_NEEDS}
    assert {key: verbs for key, verbs in asked.items() if key[0] != "voxfleet.dev"} == needed
    assert EVENTS  # both of their rows are one resource


def test_the_spot_labels_are_the_operators() -> None:
    assert {label.key: label.spot_values for label in CAPACITY_LABELS} == SPOT_LABELS


class NoRights(Cluster):
    """A cluster whose user may read its version alone."""

    def get(self, path: str) -> Objects:
        if path == "/version":
            return {"gitVersion": "v1.34.4", "major": "1", "minor": "34"}
        kind = path.rpartition("/")[2]
        said = f'cannot list resource "{kind}" in API group "" in the namespace "vox"; `voxfleet doctor` lists them'
        raise ForbiddenError(f"can't read {path}: {said}")

    def post(self, path: str, body: Objects) -> Objects:
        raise ForbiddenError(f"can't post {len(body)} fields to {path}")


def test_without_rights_no_check_says_that_all_is_well() -> None:
    findings = examine(observe(NoRights(), "vox", "demand"))
    assert {each.check for each in findings if each.state is OK} == {"Kubernetes"}
    (resources,) = (each for each in findings if each.check == "resources")
    assert resources.text == "you may not list voxttsdeployments in vox, which this check needs"
    assert not [each for each in findings if "voxfleet doctor" in each.text]


def test_what_there_is_none_of_is_not_called_ready() -> None:
    objects = healthy()
    objects["system pods"] = [each for each in objects["system pods"] if each["metadata"]["name"] != "dns"]
    texts = {each.check: each.text for each in examine(facts(objects))}
    assert not [each for each in texts.values() if each.startswith("0 ") or "; 0 " in each], texts
