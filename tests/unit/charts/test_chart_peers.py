"""What a release needs so that its gateways reach those of other clusters: a certificate, a port, an opening."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_gateway.settings import Settings

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]

PEERS = {
    "gateway": {"regions": [{"name": "eu-central"}, {"name": "us-east"}]},
    "peerTLS": {"secretName": "peer-{region}"},
    "allowedPeerDomains": ["tts.example.com", "example.org"],
    "networkPolicy": {"enabled": True},
}


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def test_each_regions_gateways_have_its_certificate(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    deployments = of_kind(render(PEERS), "Deployment")
    for region in ("eu-central", "us-east"):
        pod = deployments[f"voxfleet-gateway-{region}"]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert {"name": "peer-tls", "secret": {"secretName": f"peer-{region}"}} in pod["volumes"]
        mounts = {each["name"]: each for each in container["volumeMounts"]}
        variables = {each["name"]: each.get("value") for each in container["env"]}
        assert variables["VOXFLEET_PEER_TLS_FOLDER"] == mounts["peer-tls"]["mountPath"]
        assert "subPath" not in mounts["peer-tls"], "kubelet writes a renewed certificate into folders only"
        assert {"name": "peers", "containerPort": Settings.model_fields["peer_port"].default} in container["ports"]
        for name, value in variables.items():
            monkeypatch.setenv(name, "x" if value is None else value)  # of a Secret, of the pod
        assert Settings().allowed_peer_domains == "tts.example.com,example.org"  # type: ignore[call-arg]


def test_peers_reach_the_gateways_of_the_region_that_they_mean(render: Render) -> None:
    rendered = render(PEERS | {"peerTLS": {"secretName": "peer", "port": 443}})
    ports = {
        name: [port for port in service["spec"]["ports"] if port["name"] == "peers"]
        for name, service in of_kind(rendered, "Service").items()
    }
    assert ports["voxfleet-gateway"] == [], "it selects gateways of every region"
    assert [port["port"] for port in ports["voxfleet-gateway-us-east"]] == [443]
    policy = of_kind(rendered, "NetworkPolicy")["voxfleet-gateway"]["spec"]["ingress"]
    opened = {port["port"]: "from" in rule for rule in policy for port in rule["ports"]}
    assert opened[6007] is False, "peers come from other clusters; their certificates admit them"
    assert opened[9091] is True


def test_without_a_secret_there_is_no_port_for_peers(render: Render) -> None:
    rendered = json.dumps(render({"gateway": PEERS["gateway"], "networkPolicy": {"enabled": True}}))
    for word in ("peer-tls", "PEER_TLS", "6007"):
        assert word not in rendered


@pytest.mark.parametrize(
    "values",
    [
        {"allowedPeerDomains": ["*.example.com"]},
        {"allowedPeerDomains": ["10.0.0.1"]},
        {"allowedPeerDomains": "tts.example.com"},
        {"peerTLS": {"secretName": "Peer"}},
        {"peerTLS": {"port": 0}},
        {"peerTLS": {"secret": "peer"}},
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: Manifest, template: Any) -> None:
    process = template(values)
    assert process.returncode != 0
    assert next(iter(values)) in process.stderr
