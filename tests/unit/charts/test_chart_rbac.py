"""Least privilege, as one table: account, namespace, resource, verbs. The rendered roles grant exactly the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from voxfleet_cli.doctor.needed_rights import ALL, DEMAND, HUB_NEEDS, SYSTEM
from voxfleet_operator.kinds import TABLE, Scope

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
Grant = tuple[str, str, str, str, frozenset[str]]  # account, namespace ("*" is everywhere), group, resource, verbs

READ = frozenset({"get", "list", "watch"})
OWN = READ | {"create", "patch", "delete"}
WATCH = frozenset({"list", "watch"})
WRITE = frozenset({"create", "patch"})  # of Events: server-side apply is authorized as both

# Read when it matters, never watched: after a failed wake, after a scaling by another writer, and for an unbound claim.
LOOKED_UP = (
    ("apps", "replicasets"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("storage.k8s.io", "storageclasses"),
)
GRANTS: set[Grant] = {
    ("operator", "*", "voxfleet.dev", "voxttsdeployments", READ | {"patch"}),
    ("operator", "*", "voxfleet.dev", "voxttsdeployments/status", frozenset({"patch"})),
    ("operator", "*", "voxfleet.dev", "voxttsdeployments/finalizers", frozenset({"update"})),
    ("operator", "*", "apps", "deployments", OWN),
    ("operator", "*", "apps", "daemonsets", OWN),
    ("operator", "*", "batch", "jobs", OWN),
    ("operator", "*", "", "persistentvolumeclaims", OWN),
    ("operator", "*", "apps", "replicasets", frozenset({"list"})),
    ("operator", "*", "storage.k8s.io", "storageclasses", frozenset({"list"})),
    ("operator", "*", "autoscaling", "horizontalpodautoscalers", frozenset({"list"})),
    ("operator", "*", "", "services", OWN),
    ("operator", "*", "policy", "poddisruptionbudgets", OWN),
    ("operator", "*", "networking.k8s.io", "networkpolicies", OWN - {"delete"}),
    ("operator", "*", "gateway.networking.k8s.io", "httproutes", OWN),
    ("operator", "*", "monitoring.coreos.com", "podmonitors", OWN),
    ("operator", "*", "apiextensions.k8s.io", "customresourcedefinitions", WATCH),
    ("operator", "voxfleet-system", "networking.k8s.io", "ingresses", OWN),
    ("operator", "voxfleet-system", "gateway.networking.k8s.io", "referencegrants", OWN),
    ("operator", "*", "", "pods", WATCH | {"patch"}),
    ("operator", "*", "", "nodes", WATCH),
    ("operator", "*", "", "events", WATCH),
    ("operator", "*", "", "events", WRITE),
    ("operator", "voxfleet-system", "", "configmaps", OWN),
    ("operator", "voxfleet-system", "discovery.k8s.io", "endpointslices", WATCH),
    ("operator", "voxfleet-demand", "coordination.k8s.io", "leases", OWN),
    ("gateway", "*", "discovery.k8s.io", "endpointslices", WATCH),
    ("gateway", "voxfleet-system", "", "configmaps", READ),
    ("gateway", "voxfleet-demand", "coordination.k8s.io", "leases", READ | {"patch"}),
}


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def grants(manifests: list[Manifest]) -> Iterator[Grant]:
    """Follow every binding to its role."""
    roles = {
        (role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"]): role["rules"]
        for role in of_kind(manifests, "Role", "ClusterRole")
    }
    for binding in of_kind(manifests, "RoleBinding", "ClusterRoleBinding"):
        reference, namespace = binding["roleRef"], binding["metadata"].get("namespace")
        rules = roles[reference["kind"], namespace if reference["kind"] == "Role" else None, reference["name"]]
        for subject in binding["subjects"]:
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "voxfleet-system")
            account = subject["name"].removeprefix("voxfleet-")
            for rule in rules:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        yield account, namespace or "*", group, resource, frozenset(rule["verbs"])


def test_the_table_is_the_whole_grant(manifests: list[Manifest]) -> None:
    assert set(grants(manifests)) == GRANTS


def test_the_operator_is_granted_exactly_what_its_table_of_kinds_needs(manifests: list[Manifest]) -> None:
    namespaces = {Scope.CLUSTER: "*", Scope.ALL: "*", Scope.SYSTEM: "voxfleet-system", Scope.DEMAND: "voxfleet-demand"}
    needed = {
        ("operator", namespaces[kind.scope], kind.api_version.rpartition("/")[0], kind.plural, kind.verbs)
        for kind in TABLE
        if not kind.is_of_notebooks
    } | {("operator", "*", group, plural, frozenset({"list"})) for group, plural in LOOKED_UP}
    needed |= {("operator", "*", "", "events", WRITE)}
    granted = {grant for grant in grants(manifests) if grant[0] == "operator" and grant[2] != "voxfleet.dev"}
    assert granted == needed


def test_no_wildcards_no_secrets_everywhere_no_escalation(manifests: list[Manifest]) -> None:
    for account, namespace, group, resource, verbs in grants(manifests):
        assert "*" not in {group, resource, *verbs}, (account, resource)
        assert resource != "secrets", (account, namespace)
        assert not verbs & {"escalate", "bind", "impersonate"}, (account, resource)
        assert group not in {"rbac.authorization.k8s.io", "admissionregistration.k8s.io"}, (account, resource)


def test_nothing_is_bound_to_a_role_that_the_chart_does_not_make(manifests: list[Manifest]) -> None:
    made = {(role["kind"], role["metadata"]["name"]) for role in of_kind(manifests, "Role", "ClusterRole")}
    bound = {
        (binding["roleRef"]["kind"], binding["roleRef"]["name"])
        for binding in of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
    }
    assert bound == made


def test_the_gateway_writes_demand_leases_only(manifests: list[Manifest]) -> None:
    writes = [
        (namespace, resource, verbs - READ)
        for account, namespace, _group, resource, verbs in grants(manifests)
        if account == "gateway" and verbs - READ
    ]
    assert writes == [("voxfleet-demand", "leases", frozenset({"patch"}))]


def test_secrets_are_readable_only_in_listed_namespaces(render: Render) -> None:
    added = set(grants(render({"secretNamespaces": ["team-a", "team-b"]}))) - GRANTS
    assert added == {("operator", namespace, "", "secrets", frozenset({"get"})) for namespace in ("team-a", "team-b")}


def test_definitions_are_read_by_name_alone(manifests: list[Manifest]) -> None:
    """The API server admits a list and a watch with the field selector metadata.name for these names."""
    named = [
        rule["resourceNames"]
        for role in of_kind(manifests, "ClusterRole")
        for rule in role["rules"]
        if "customresourcedefinitions" in rule["resources"]
    ]
    assert [sorted(names) for names in named] == [sorted(kind.definition for kind in TABLE if kind.definition)]


def test_notebooks_are_granted_where_they_are_enabled_and_secrets_are_never_read(render: Render) -> None:
    added = set(grants(render({"notebooks": {"enabled": True}}))) - GRANTS
    assert added == {
        ("operator", "*", "apps", "statefulsets", OWN),
        ("operator", "*", "networking.k8s.io", "ingresses", OWN),
        ("operator", "*", "networking.k8s.io", "networkpolicies", OWN),
        ("operator", "*", "", "secrets", frozenset({"create"})),
    }
    kinds = {(kind.api_version.rpartition("/")[0], kind.plural) for kind in TABLE if kind.is_of_notebooks}
    assert kinds == {(group, resource) for _, _, group, resource, _ in added if resource != "secrets"}


HUB = {"operator": {"enabled": False}, "hubAccess": {"enabled": True, "drainNamespaces": ["team-a"]}}


def test_the_hub_is_granted_what_the_table_of_kinds_needs_without_the_own_kind(render: Render) -> None:
    """In a remote cluster no garbage collector knows the resource, so everything that is applied is deleted too."""
    namespaces = {Scope.CLUSTER: "*", Scope.ALL: "*", Scope.SYSTEM: "voxfleet-system", Scope.DEMAND: "voxfleet-demand"}
    needed = {
        (
            "hub",
            namespaces[kind.scope],
            kind.api_version.rpartition("/")[0],
            kind.plural,
            kind.verbs | ({"delete"} if kind.is_applied else frozenset()),
        )
        for kind in TABLE
        if not kind.is_home_only
    } | {("hub", "*", group, plural, frozenset({"list"})) for group, plural in LOOKED_UP}
    needed |= {
        ("hub", "voxfleet-system", "", "pods/proxy", frozenset({"get"})),
        ("hub", "team-a", "", "pods/proxy", frozenset({"get", "create", "delete"})),
    }
    rendered = render(HUB)
    assert {grant for grant in grants(rendered) if grant[0] == "hub"} == needed
    assert not [grant for grant in grants(rendered) if grant[0] == "operator"]


def test_voxfleet_doctor_asks_for_the_rights_that_the_hub_is_granted(render: Render) -> None:
    """But for a definition, which is granted by name, and for drains, which are granted by namespace."""
    namespaces = {ALL: "*", SYSTEM: "voxfleet-system", DEMAND: "voxfleet-demand"}
    asked = {(namespaces[need.scope], need.group, need.resource, frozenset(need.verbs)) for need in HUB_NEEDS}
    granted = {grant[1:] for grant in grants(render(HUB)) if grant[0] == "hub"}
    assert {each for each in granted - asked if each[2] != "customresourcedefinitions"} == {
        ("team-a", "", "pods/proxy", frozenset({"get", "create", "delete"}))
    }
    assert asked <= granted


def test_without_the_operator_gateways_alone_are_made(render: Render) -> None:
    rendered = render(HUB)
    assert {each["metadata"]["name"] for each in of_kind(rendered, "Deployment")} == {"voxfleet-gateway"}
    assert {each["metadata"]["name"] for each in of_kind(rendered, "ServiceAccount")} == {
        "voxfleet-gateway",
        "voxfleet-hub",
    }


def test_nothing_of_a_hub_is_made_by_default(manifests: list[Manifest]) -> None:
    assert not [each for each in manifests if "hub" in each["metadata"]["name"]]


def test_leases_are_granted_in_the_configured_namespace(render: Render) -> None:
    rendered = render({"demandNamespace": {"name": "clocks", "create": False}})
    assert {namespace for _, namespace, _, resource, _ in grants(rendered) if resource == "leases"} == {"clocks"}
    assert not of_kind(rendered, "Namespace")


def test_the_demand_namespace_is_made_when_asked(manifests: list[Manifest]) -> None:
    assert [namespace["metadata"]["name"] for namespace in of_kind(manifests, "Namespace")] == ["voxfleet-demand"]


@pytest.mark.parametrize("account", ["operator", "gateway"])
def test_each_part_has_its_own_account(manifests: list[Manifest], account: str) -> None:
    pods = [
        manifest["spec"]["template"]["spec"]["serviceAccountName"]
        for manifest in of_kind(manifests, "Deployment")
        if manifest["metadata"]["name"].startswith(f"voxfleet-{account}")
    ]
    assert set(pods) == {f"voxfleet-{account}"}
    assert f"voxfleet-{account}" in {a["metadata"]["name"] for a in of_kind(manifests, "ServiceAccount")}
