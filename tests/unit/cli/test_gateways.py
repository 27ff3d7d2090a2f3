"""How a gateway is found and asked, by URL and with nothing but a kubeconfig."""

import base64
from typing import Any

import pytest
from voxfleet_cli import gateways
from voxfleet_cli.cluster import Cluster
from voxfleet_cli.errors import CliError, ClusterError, GatewayError, UsageError
from voxfleet_cli.gateways import KEY_VARIABLE, Gateways, choose_pod, gateway_token, internal_port, secret_of
from voxfleet_gateway import tokens

WAY_OUT = "--system-namespace names another, --gateway a URL"
PODS, SECRET = "/api/v1/namespaces/vox/pods", "/api/v1/namespaces/vox/secrets/own-key"


def pod(name: str, *, ready: bool = True, region: str = "eu") -> dict[str, Any]:
    reference = {"name": KEY_VARIABLE, "valueFrom": {"secretKeyRef": {"name": "own-key", "key": "k"}}}
    container = {"name": "gateway", "env": [{"name": "OTHER"}, reference]}
    container["ports"] = [{"containerPort": 6006, "name": "http"}, {"containerPort": 9091, "name": "internal"}]
    conditions = [{"type": "Ready", "status": str(ready)}]
    labels = {"voxfleet.dev/region": region}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container]},
        "status": {"conditions": conditions},
    }


def cluster_with(api: Any, *pods: dict[str, Any]) -> Cluster:
    api.objects[PODS] = {"items": [*pods]}
    api.objects[SECRET] = {"data": {"k": base64.b64encode(b"the key").decode()}}
    return Cluster(api.kubeconfig)


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_the_token_is_the_gateways() -> None:
    assert gateway_token("the key") == tokens.gateway_token("the key")


def test_a_gateway_is_asked_with_nothing_but_a_kubeconfig(served: Any) -> None:
    api, gateway = served
    api.ports[9091], gateway.answer = gateway.port, {"answer": "yes" * 100_000}
    found = Gateways(cluster_with(api, pod("b"), pod("a", ready=False), pod("A", region="us")), "vox", region="eu")
    assert found.get("/internal/explain", {"client": "::1"}) == gateway.answer
    assert gateway.requests == [("/internal/explain", {"client": "::1"}, f"Bearer {gateway_token('the key')}")]
    assert api.queries[PODS]["labelSelector"].endswith("component=gateway")
    assert f"{PODS}/b/portforward" in api.queries


def test_a_gateway_is_asked_by_url(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, gateway = served
    gateway.answer = {"answer": 1}
    monkeypatch.setenv(KEY_VARIABLE, "another")
    url = f"http://127.0.0.1:{gateway.port}"
    assert Gateways(Cluster("/nonexistent"), "vox", url).get("/x", {}) == {"answer": 1}
    assert gateway.requests[0][2] == f"Bearer {gateway_token('another')}"


def failure(api: Any, *pods: dict[str, Any], **fields: Any) -> str:
    with pytest.raises(CliError) as raised:
        Gateways(cluster_with(api, *pods), "vox", **fields).get("/x", {})
    return str(raised.value)


def test_what_goes_wrong_is_named(served: Any) -> None:
    api, gateway = served
    assert failure(api) == f"there is no gateway in namespace vox; {WAY_OUT}"
    assert failure(api, region="eu") == f"there is no gateway of region eu in namespace vox; {WAY_OUT}"
    elsewhere = failure(api, pod("a", region="us"), pod("b", region="asia"), region="eu")
    assert (
        elsewhere == f"there is no gateway of region eu in namespace vox (regions with gateways: asia, us); {WAY_OUT}"
    )
    not_ready = failure(api, pod("a", ready=False), region="eu")
    assert not_ready == f"none of the 1 pods of a gateway of region eu is ready in namespace vox; {WAY_OUT}"
    assert "port 9091 of pod vox/a did not respond: no connection to port 9091" in failure(api, pod("a"))
    api.ports[9091], gateway.status = gateway.port, 404
    gateway.answer = {"error": {"message": "The model 'm' does not exist."}}
    assert failure(api, pod("a")) == "gateway a: The model 'm' does not exist."
    gateway.answer = "404: Not Found"
    assert "an older gateway has no such path" in failure(api, pod("a"))
    api.is_forbidden = True
    assert "this needs the right to create pods/portforward there" in failure(api, pod("a"))


def test_a_secret_that_is_absent_or_has_no_key(served: Any) -> None:
    api, _ = served
    found = Gateways(cluster_with(api, pod("a")), "vox")
    api.objects[SECRET] = {"data": {"other": ""}}
    with pytest.raises(ClusterError, match="Secret vox/own-key has no usable entry 'k'"):
        found.get("/x", {})
    del api.objects[SECRET]
    with pytest.raises(ClusterError, match="the gateways' key is needed, in VOXFLEET_INTERNAL_KEY or to be read"):
        found.get("/x", {})


@pytest.mark.parametrize("url", ["gateway:9091", "ftp://gateway", "http://"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(UsageError, match="--gateway must be the URL"):
        Gateways(Cluster(), "vox", url).get("/x", {})


def test_a_url_without_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k")
    with pytest.raises(GatewayError, match="did not respond"):
        Gateways(Cluster(), "vox", "http://127.0.0.1:1").get("/x", {})


def test_the_parts_of_a_pod() -> None:
    bare: dict[str, Any] = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "gateway"}]}, "status": {}}
    assert (internal_port(bare), secret_of(bare)) == (gateways.PORT, (gateways.SECRET, gateways.SECRET_KEY))
    assert secret_of(pod("a")) == ("own-key", "k")
    assert choose_pod([pod("b"), pod("a")], "vox", "")["metadata"]["name"] == "a"
