"""The charts on a real API server: grants, upgrades, uninstalls, and admission by a restricted namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from voxfleet_testbed.errors import ApiError

if TYPE_CHECKING:
    from conftest import Cluster

SYSTEM = "voxfleet-system"
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/voxfleet-internal"
FLEETS = "/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments"

ALLOWED = """
operator list   voxfleet.dev/voxttsdeployments             *
operator patch  voxfleet.dev/voxttsdeployments             default
operator patch  voxfleet.dev/voxttsdeployments/status      default
operator update voxfleet.dev/voxttsdeployments/finalizers  default
operator create apps/deployments                           default
operator patch  apps/deployments                           default
operator watch  apps/deployments                           *
operator create /services                                  default
operator patch  networking.k8s.io/networkpolicies          default
operator watch  /pods                                      *
operator create /configmaps                                voxfleet-system
operator delete apps/deployments                           default
operator delete /configmaps                                voxfleet-system
operator watch  discovery.k8s.io/endpointslices            voxfleet-system
operator create coordination.k8s.io/leases                 voxfleet-demand
operator delete coordination.k8s.io/leases                 voxfleet-demand
operator get    /secrets                                   team-a
operator create networking.k8s.io/ingresses                voxfleet-system
operator patch  gateway.networking.k8s.io/referencegrants  voxfleet-system
operator create gateway.networking.k8s.io/httproutes       default
operator delete monitoring.coreos.com/podmonitors          default
gateway  watch  discovery.k8s.io/endpointslices            *
gateway  watch  /configmaps                                voxfleet-system
gateway  watch  coordination.k8s.io/leases                 voxfleet-demand
gateway  patch  coordination.k8s.io/leases                 voxfleet-demand
"""

FORBIDDEN = """
operator get    /secrets                                   *
operator list   /secrets                                   *
operator get    /secrets                                   voxfleet-system
operator get    /secrets                                   default
operator list   /secrets                                   team-a
operator delete voxfleet.dev/voxttsdeployments             default
operator get    /configmaps                                default
operator create /configmaps                                default
operator create coordination.k8s.io/leases                 default
operator create coordination.k8s.io/leases                 voxfleet-system
operator delete networking.k8s.io/networkpolicies          default
operator create /secrets                                   default
operator create networking.k8s.io/ingresses                default
operator patch  gateway.networking.k8s.io/referencegrants  default
operator list   apiextensions.k8s.io/customresourcedefinitions *
operator watch  apps/statefulsets                          *
operator create /pods                                      default
operator create /pods/exec                                 default
operator get    /nodes                                     *
operator create rbac.authorization.k8s.io/clusterrolebindings *
gateway  get    /secrets                                   *
gateway  get    /secrets                                   voxfleet-system
gateway  get    voxfleet.dev/voxttsdeployments             default
gateway  list   /pods                                      *
gateway  patch  apps/deployments                           default
gateway  create coordination.k8s.io/leases                 voxfleet-demand
gateway  update coordination.k8s.io/leases                 voxfleet-demand
gateway  delete coordination.k8s.io/leases                 voxfleet-demand
gateway  patch  coordination.k8s.io/leases                 default
gateway  patch  coordination.k8s.io/leases                 voxfleet-system
gateway  list   /configmaps                                default
gateway  create /configmaps                                voxfleet-system
gateway  patch  /configmaps                                voxfleet-system
gateway  patch  discovery.k8s.io/endpointslices            default
gateway  create /events                                    voxfleet-system
"""

CASES = [(line, True) for line in ALLOWED.split("\n") if line] + [
    (line, False) for line in FORBIDDEN.split("\n") if line
]


@pytest.mark.parametrize(("line", "expected"), CASES, ids=[" ".join(line.split()) for line, _ in CASES])
def test_the_api_server_grants_exactly_the_table(installed: Cluster, line: str, expected: bool) -> None:  # noqa: FBT001
    account, verb, resource, where = line.split()
    assert installed.may(account, verb, resource, where) is expected


def test_a_restricted_namespace_admits_the_pods(installed: Cluster) -> None:
    """The API server creates a pod of each Deployment; wait_for raises if one is not admitted."""
    wanted = {"voxfleet-operator", "voxfleet-gateway-eu-central", "voxfleet-gateway-us-east"}

    def all_made(pods: dict[str, Any]) -> bool:
        made = {pod["metadata"]["name"].rsplit("-", 2)[0] for pod in pods["items"]}
        return made == wanted

    installed.api.wait_for(f"/api/v1/namespaces/{SYSTEM}/pods", all_made, 60)


def test_the_notes_have_the_next_commands(installed: Cluster) -> None:
    notes = installed.run_helm("get", "notes", "voxfleet")
    assert "service/voxfleet-gateway 6006" in notes
    assert "eu-central, us-east" in notes
    assert "MISSING" not in notes


@pytest.mark.parametrize("name", ["quickstart.yaml", "gpu.yaml", "spot.yaml", "weights-claim.yaml"])
def test_the_api_server_accepts_the_examples(installed: Cluster, name: str) -> None:
    accepted = installed.api.request("POST", f"{FLEETS}?dryRun=All&fieldValidation=Strict", installed.example(name))
    assert accepted["metadata"]["name"] == "narrator"


def test_an_upgrade_keeps_the_key_and_changes_the_rest(installed: Cluster) -> None:
    before = installed.api.get(SECRET)["data"]["key"]
    installed.run_helm(
        "upgrade", "voxfleet", installed.chart("voxfleet"), "--set", "gateway.replicas=3", "--reuse-values"
    )
    gateway = installed.api.get(f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/voxfleet-gateway-us-east")
    assert gateway["spec"]["replicas"] == 3
    assert installed.api.get(SECRET)["data"]["key"] == before


def test_an_uninstall_keeps_the_fleets_and_an_install_finds_them(installed: Cluster) -> None:
    installed.api.apply(f"{FLEETS}/narrator", installed.example("quickstart.yaml"))
    installed.run_helm("uninstall", "voxfleet", "--wait", "--timeout", "90s")
    installed.run_helm("uninstall", "voxfleet-crds", "--wait", "--timeout", "90s")
    for gone in (
        SECRET,
        "/api/v1/namespaces/voxfleet-demand",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/voxfleet-operator",
    ):
        with pytest.raises(ApiError, match=r"404|not found"):
            installed.api.get(gone)
    assert not installed.may("operator", "list", "voxfleet.dev/voxttsdeployments", "*")
    installed.install()
    assert installed.api.get(f"{FLEETS}/narrator")["spec"]["regions"][0]["name"] == "eu-central"
