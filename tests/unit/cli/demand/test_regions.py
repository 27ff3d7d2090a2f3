"""Which regions a command is about, and how the cluster of a remote one is reached."""

import base64
from typing import Any

import pytest
import yaml
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand.regions import DemandRegion, inline_only, regions_of
from voxfleet_cli.errors import ClusterError, RefusedError, UsageError

SECRET = "/api/v1/namespaces/apps/secrets/ap"


def resource(**remote: Any) -> dict[str, Any]:
    regions = [{"name": "eu"}, {"name": "ap", **remote}]
    return {"metadata": {"namespace": "apps", "name": "narrator"}, "spec": {"regions": regions}}


REMOTE = {"kubeConfigSecretRef": {"name": "ap", "key": "value"}}


def kubeconfig(**user: Any) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "x"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://ap.example.com", "proxy-url": "http://evil"}}],
        "users": [{"name": "u", "user": {"token": "t", **user}}],
    }


def test_every_region_or_those_that_are_named() -> None:
    home = Cluster()
    assert [each.name for each in regions_of(resource(), [], home, "d")] == ["eu", "ap"]
    assert [each.name for each in regions_of(resource(), ["ap"], home, "d")] == ["ap"]
    with pytest.raises(UsageError, match="--region must be one of eu, ap, not 'us'"):
        regions_of(resource(), ["us"], home, "d")


def test_a_remote_region_is_reached_by_its_secret(served: Any) -> None:
    api, _ = served
    text = yaml.safe_dump(kubeconfig())
    api.objects[SECRET] = {"data": {"value": base64.b64encode(text.encode()).decode()}}
    home = Cluster(api.kubeconfig)
    eu, ap = regions_of(resource(**REMOTE), [], home, "d")
    assert eu.cluster is home
    assert ap.cluster.content is not None
    assert ap.cluster.content["clusters"][0]["cluster"] == {"server": "https://ap.example.com"}


def test_nothing_of_a_secret_runs_a_program_or_reads_a_file_here() -> None:
    harmful = kubeconfig(exec={"command": "sh"}, tokenFile="/etc/passwd", **{"client-key": "/k", "auth-provider": {}})
    assert inline_only(harmful)["users"][0]["user"] == {"token": "t"}


@pytest.mark.parametrize(
    "data",
    [{}, {"value": "%"}, {"value": base64.b64encode(b"[]").decode()}, {"value": base64.b64encode(b"{}").decode()}],
)
def test_a_secret_that_is_no_kubeconfig_is_named(served: Any, data: dict[str, str]) -> None:
    api, _ = served
    api.objects[SECRET] = {"data": data}
    with pytest.raises(ClusterError, match="Secret apps/ap, key 'value', is not usable"):
        regions_of(resource(**REMOTE), [], Cluster(api.kubeconfig), "d")
    del api.objects[SECRET]
    with pytest.raises(ClusterError, match=r"can't be read: .* --region names the other regions"):
        regions_of(resource(**REMOTE), [], Cluster(api.kubeconfig), "d")


@pytest.mark.parametrize(
    "content",
    [
        *("token: {}: x", "token: '{}", "token: *{}", "token: !{} x", "[{}", "- {}\nb: {}", "token: {}\x00"),
        yaml.safe_dump({**kubeconfig(), "clusters": [{"name": "k", "cluster": "{}"}]}),
        yaml.safe_dump({**kubeconfig(), "users": [{"name": "u", "user": ["{}"]}]}),
        yaml.safe_dump(kubeconfig(**{"client-certificate-data": "{}", "client-key-data": "x"})),
        "[" * 5000 + "{}",
    ],
)
def test_of_a_secret_that_is_no_kubeconfig_nothing_is_quoted(served: Any, content: str) -> None:
    api, _ = served
    encoded = base64.b64encode(content.replace("{}", "secret-token").encode()).decode()
    api.objects[SECRET] = {"data": {"value": encoded}}
    with pytest.raises(ClusterError) as raised:
        regions_of(resource(**REMOTE), ["ap"], Cluster(api.kubeconfig), "d")[0].cluster.get("/version")
    assert "secret-token" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_region_without_a_lease_says_where_to_look(served: Any) -> None:
    api, _ = served
    api.objects["/apis/coordination.k8s.io/v1/namespaces/d/leases"] = {"items": []}
    with pytest.raises(RefusedError, match="no demand Lease in namespace d yet; `voxfleet explain -n apps narrator`"):
        DemandRegion("apps", "narrator", "eu", Cluster(api.kubeconfig), "d").lease()
