"""PowerDNS and the engine in the chart: off by default, restricted, and with files that both programs can read."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from voxfleet_gateway.dns.inputs.zone_file import read_zone_file
from voxfleet_gateway.dns.settings import DnsSettings

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
Template = Callable[..., subprocess.CompletedProcess[str]]

ENABLED: Manifest = {
    "enabled": True,
    "zone": "tts.example.com",
    "nameServers": [{"name": "ns1.tts.example.com", "addresses": ["192.0.2.53"]}],
    "regions": [{"name": "eu-central", "addresses": ["192.0.2.10"], "location": {"latitude": 50.1, "longitude": 8.7}}],
    "defaultRegion": "eu-central",
    "locationDatabase": {"existingClaim": "places"},
    "peerTLS": {"secretName": "peers"},
}


@pytest.fixture(scope="module")
def rendered(render: Render) -> list[Manifest]:
    values = {"dns": ENABLED, "networkPolicy": {"enabled": True}, "podMonitors": {"enabled": True}}
    return render(values, api_versions="monitoring.coreos.com/v1")


@pytest.fixture(scope="module")
def dns(rendered: list[Manifest]) -> dict[str, Manifest]:
    """The objects named voxfleet-dns, by kind."""
    return {each["kind"]: each for each in rendered if each["metadata"]["name"] == "voxfleet-dns"}


def test_no_object_is_rendered_twice(rendered: list[Manifest]) -> None:
    """Helm's first installation would fail at the second one."""
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in rendered]
    assert sorted(map(str, names)) == sorted(map(str, set(names)))


def test_it_is_off_by_default(manifests: list[Manifest]) -> None:
    assert not [each for each in manifests if "dns" in each["metadata"]["name"]]


def test_every_object_is_there(dns: dict[str, Manifest]) -> None:
    assert set(dns) == {
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    }
    assert dns["Role"]["rules"] == [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]


def test_the_engine_reads_the_zone_file(dns: dict[str, Manifest], tmp_path: Path) -> None:
    path = tmp_path / "zone.yaml"
    path.write_text(dns["ConfigMap"]["data"]["zone.yaml"])
    zone = read_zone_file(path)
    assert (zone.apex, zone.default_region, zone.ttl) == ("tts.example.com.", "eu-central", 30)
    assert [region.name for region in zone.regions] == ["eu-central"]


def test_powerdns_has_the_tested_settings_and_the_engines_socket(dns: dict[str, Manifest]) -> None:
    lines = dns["ConfigMap"]["data"]["pdns.conf"].splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    engine = dns["Deployment"]["spec"]["template"]["spec"]["initContainers"][0]
    socket = next(each["value"] for each in engine["env"] if each["name"] == "VOXFLEET_BACKEND_SOCKET")
    assert settings["remote-connection-string"].startswith(f"unix:path={socket},")
    assert {settings[name] for name in ("cache-ttl", "query-cache-ttl", "negquery-cache-ttl")} == {"0"}
    assert (settings["edns-subnet-processing"], settings["udp-truncation-threshold"]) == ("yes", "1232")
    assert settings["local-port"] == "5353"


def test_the_pod_is_restricted_and_shares_a_socket(dns: dict[str, Manifest]) -> None:
    pod = dns["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == 65532
    containers = {each["name"]: each for each in [*pod["initContainers"], *pod["containers"]]}
    assert set(containers) == {"engine", "powerdns"}
    assert containers["engine"]["restartPolicy"] == "Always"  # a sidecar: started before PowerDNS
    for container in containers.values():
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"]["drop"] == ["ALL"]
        # NET_BIND_SERVICE is the one capability that "restricted" allows to add.
        assert set(security["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}
        assert {"name": "socket", "mountPath": "/run/voxfleet-dns"} in container["volumeMounts"]
    assert containers["powerdns"]["image"] == "docker.io/powerdns/pdns-auth-51:5.1.4"


def test_the_engines_variables_are_settings(dns: dict[str, Manifest]) -> None:
    engine = dns["Deployment"]["spec"]["template"]["spec"]["initContainers"][0]
    assert engine["args"] == ["dns"]
    assert {each["name"] for each in engine["env"]} <= {f"VOXFLEET_{name.upper()}" for name in DnsSettings.model_fields}


def test_the_engine_follows_gateway_urls_as_gateways_do(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = {"allowedPeerDomains": ["tts.example.com", "example.org"], "allowedPeerNetworks": ["10.20.0.0/16"]}
    gateways = {"peerTLS": {"secretName": "peers"}, "gateway": {"regions": [{"name": "eu-central"}]}}
    deployments = {
        each["metadata"]["name"]: each
        for each in render({"dns": ENABLED} | peers | gateways)
        if each["kind"] == "Deployment"
    }
    engine = variables_of(deployments["voxfleet-dns"], "initContainers")
    gateway = variables_of(deployments["voxfleet-gateway-eu-central"], "containers")
    for name, value in (("DOMAINS", "tts.example.com,example.org"), ("NETWORKS", "10.20.0.0/16")):
        assert engine[f"VOXFLEET_ALLOWED_PEER_{name}"] == gateway[f"VOXFLEET_ALLOWED_PEER_{name}"] == value
    for name, value in engine.items():
        monkeypatch.setenv(name, value or "x")
    assert DnsSettings().allowed_peer_networks == "10.20.0.0/16"  # type: ignore[call-arg]


def variables_of(deployment: Manifest, containers: str) -> dict[str, str]:
    container = deployment["spec"]["template"]["spec"][containers][0]
    return {each["name"]: each.get("value", "") for each in container["env"]}


OWN_NONE = {**ENABLED, "locationDatabase": {}, "peerTLS": {}}
GATEWAYS: Manifest = {
    "gateway": {
        "regions": [{"name": "eu-central"}, {"name": "us-east"}],
        "locationDatabase": {"persistentVolumeClaim": {"claimName": "geo"}},
    },
    "peerTLS": {"secretName": "peer-{region}"},
}


def engine_volumes(render: Render, values: Manifest) -> dict[str, Manifest]:
    """The volumes with the database and the certificate, whose mounts and variables must be there with them."""
    deployment = next(
        each for each in render(values) if each["kind"] == "Deployment" and each["metadata"]["name"] == "voxfleet-dns"
    )
    pod = deployment["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"] if each["name"] in {"location", "peer-tls"}}
    mounts = {each["name"]: each["mountPath"] for each in pod["initContainers"][0]["volumeMounts"]}
    variables = variables_of(deployment, "initContainers")
    names = {"location": "VOXFLEET_LOCATION_DATABASE", "peer-tls": "VOXFLEET_PEER_TLS_FOLDER"}
    for volume, variable in names.items():
        assert variables.get(variable) == mounts.get(volume)
        assert (volume in mounts) == (volume in volumes)
    return volumes


def test_the_engine_has_the_gateways_database_and_certificate_unless_it_has_its_own(render: Render) -> None:
    followed = engine_volumes(render, {"dns": OWN_NONE} | GATEWAYS)
    assert followed["location"]["persistentVolumeClaim"]["claimName"] == "geo"
    assert followed["peer-tls"]["secret"]["secretName"] == "peer-eu-central"  # a Secret's name
    own = engine_volumes(render, {"dns": ENABLED} | GATEWAYS)
    assert own["location"]["persistentVolumeClaim"] == {"claimName": "places", "readOnly": True}
    assert own["peer-tls"]["secret"]["secretName"] == "peers"
    assert engine_volumes(render, {"dns": OWN_NONE}) == {}
    shared = engine_volumes(render, {"dns": OWN_NONE, "peerTLS": {"secretName": "shared"}})
    assert shared["peer-tls"]["secret"]["secretName"] == "shared"


def test_a_certificate_of_no_region_is_rejected(template: Template) -> None:
    refused = template({"dns": OWN_NONE, "peerTLS": GATEWAYS["peerTLS"]})
    assert refused.returncode != 0
    assert "set dns.peerTLS.secretName" in refused.stderr


def test_the_service_has_both_protocols(dns: dict[str, Manifest]) -> None:
    service = dns["Service"]["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert {(each["port"], each["protocol"]) for each in service["ports"]} == {(53, "UDP"), (53, "TCP")}
    pod = dns["Deployment"]["spec"]["template"]["spec"]
    names = {each["name"] for container in pod["containers"] for each in container["ports"]}
    assert {each["targetPort"] for each in service["ports"]} == names


def test_two_replicas_one_of_which_may_be_disrupted(dns: dict[str, Manifest]) -> None:
    assert dns["Deployment"]["spec"]["replicas"] == 2
    assert dns["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_the_image_may_be_another(render: Render) -> None:
    image = {"repository": "registry.example.com/pdns", "digest": f"sha256:{'a' * 64}"}
    found = render({"dns": {**ENABLED, "powerdns": {"image": image}}})
    deployment = next(
        each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"] == "voxfleet-dns"
    )
    powerdns = deployment["spec"]["template"]["spec"]["containers"][0]
    assert powerdns["image"] == f"registry.example.com/pdns@sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"zone": ""}, "dns.zone is empty"),
        ({"nameServers": []}, "dns.nameServers is empty"),
        ({"zone": "under_score"}, "/dns/zone"),
        ({"regions": [{"name": "a", "addresses": ["host"]}]}, "/dns/regions/0/addresses/0"),
        ({"regions": [{"name": "a", "adresses": []}]}, "'adresses' not allowed"),
        ({"service": {"type": "ExternalName"}}, "/dns/service/type"),
        ({"ttl": 0}, "/dns/ttl"),
    ],
)
def test_wrong_values_are_rejected_by_name(template: Template, values: Manifest, message: str) -> None:
    refused = template({"dns": {**ENABLED, **values}})
    assert refused.returncode != 0
    assert message in refused.stderr


def test_powerdnss_settings_are_known_to_the_installed_version() -> None:
    program = shutil.which("pdns_server", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("pdns_server is not installed")
    known = subprocess.run([program, "--help"], capture_output=True, text=True, check=False, timeout=60).stdout
    path = Path(__file__).parents[3] / "charts/voxfleet/files/dns/pdns.conf"
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            assert f"--{line.partition('=')[0]}" in known
