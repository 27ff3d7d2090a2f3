"""The chart's pods: security context, environment, ports, selectors, rollout."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from voxfleet_gateway.settings import Settings as GatewaySettings
from voxfleet_operator.settings import Settings as OperatorSettings

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]

PORTS = {
    "operator": {"health": 8080, "metrics": 9090},
    "gateway": {"http": 6006, "metrics": 9090, "internal": 9091},
}
ENVIRONMENT = {
    "operator": {
        "VOXFLEET_SYSTEM_NAMESPACE",
        "VOXFLEET_DEMAND_NAMESPACE",
        "VOXFLEET_INTERNAL_KEY",
        "VOXFLEET_INFERENCE_IMAGE",
        "VOXFLEET_IMAGE_PULL_POLICY",
        "VOXFLEET_ALLOWED_HOST_PATHS",
        "VOXFLEET_ALLOWED_INGRESS_DOMAINS",
        "VOXFLEET_INGRESS_ANNOTATIONS",
        "VOXFLEET_GATEWAY_TLS",
        "VOXFLEET_NOTEBOOKS",
        "VOXFLEET_NOTEBOOKS_FROM",
        "VOXFLEET_METRICS_FROM",
        "VOXFLEET_POD_MONITOR_LABELS",
        "VOXFLEET_ALLOWED_PEER_DOMAINS",
        "VOXFLEET_ALLOWED_PEER_NETWORKS",
        "VOXFLEET_CLUSTER_DOMAIN",
        "VOXFLEET_VOICE_SOURCE",
        "VOXFLEET_LOG_LEVEL",
    },
    "gateway": {
        "VOXFLEET_POD_NAME",
        "VOXFLEET_SYSTEM_NAMESPACE",
        "VOXFLEET_DEMAND_NAMESPACE",
        "VOXFLEET_INTERNAL_KEY",
        "VOXFLEET_REGION",
        "VOXFLEET_GATEWAY_SERVICE",
        "VOXFLEET_REPLICAS",
        "VOXFLEET_TRUSTED_PROXIES",
        "VOXFLEET_CLIENT_ADDRESS_HEADER",
        "VOXFLEET_PROXY_PROTOCOL",
        "VOXFLEET_KEEP_ALIVE_SECONDS",
        "VOXFLEET_ALLOWED_ORIGINS",
        "VOXFLEET_VOICES_DIR",
        "VOXFLEET_VOICE_PEERS",
        "VOXFLEET_MAX_VOICES",
        "VOXFLEET_MAX_VOICES_BYTES",
        "VOXFLEET_MAX_ALL_VOICES_BYTES",
        "VOXFLEET_DRAIN_SECONDS",
        "VOXFLEET_LOG_LEVEL",
    },
}


def deployments(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == "Deployment"}


def component(deployment: Manifest) -> str:
    return str(deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"])


def pod(deployment: Manifest) -> Manifest:
    return dict(deployment["spec"]["template"]["spec"])


def environment(deployment: Manifest) -> dict[str, Manifest]:
    return {variable["name"]: variable for variable in pod(deployment)["containers"][0]["env"]}


def test_one_operator_and_one_gateway_deployment_per_region(manifests: list[Manifest]) -> None:
    assert set(deployments(manifests)) == {
        "voxfleet-operator",
        "voxfleet-gateway-eu-central",
        "voxfleet-gateway-us-east",
    }


def test_every_pod_is_restricted(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        security = pod(deployment)["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == 65532, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod(deployment)["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "privileged": False,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_no_pod_mounts_or_shares_its_node(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod(deployment).keys(), name
        assert {tuple(volume) for volume in pod(deployment)["volumes"]} == {("name", "emptyDir")}, name


def test_every_container_has_requests_and_a_memory_limit(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        resources = pod(deployment)["containers"][0]["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), name
        assert "memory" in resources["limits"], name


def test_probes_use_declared_ports(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        container = pod(deployment)["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == PORTS[component(deployment)], name
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports, (name, probe)


def test_containers_get_exactly_the_documented_variables(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        assert environment(deployment).keys() == ENVIRONMENT[component(deployment)], name


@pytest.mark.parametrize(
    ("name", "settings"),
    [("voxfleet-operator", OperatorSettings), ("voxfleet-gateway-us-east", GatewaySettings)],
)
def test_each_part_parses_its_variables(
    manifests: list[Manifest],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    settings: type[OperatorSettings | GatewaySettings],
) -> None:
    variables = environment(deployments(manifests)[name])
    known = {f"VOXFLEET_{field.upper()}" for field in settings.model_fields}
    assert variables.keys() <= known  # pydantic-settings ignores unknown variables silently
    for variable, given in variables.items():
        monkeypatch.setenv(variable, given.get("value", "from the cluster"))
    read = settings()
    for variable, given in variables.items():
        if "value" in given:
            field = getattr(read, variable.removeprefix("VOXFLEET_").lower())
            # Lists, objects and flags are JSON; of other types the constructor reads the text.
            is_json = isinstance(field, dict | list | bool)
            assert field == (json.loads if is_json else type(field))(given["value"]), variable


def test_the_internal_key_is_referenced_from_its_secret(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        assert environment(deployment)["VOXFLEET_INTERNAL_KEY"] == {
            "name": "VOXFLEET_INTERNAL_KEY",
            "valueFrom": {"secretKeyRef": {"name": "voxfleet-internal", "key": "key"}},
        }, name


def test_a_gateway_runs_in_its_region_and_has_its_name(manifests: list[Manifest]) -> None:
    for region in ("eu-central", "us-east"):
        deployment = deployments(manifests)[f"voxfleet-gateway-{region}"]
        assert pod(deployment)["nodeSelector"] == {"topology.kubernetes.io/region": region}
        assert environment(deployment)["VOXFLEET_REGION"]["value"] == region
        assert deployment["spec"]["selector"]["matchLabels"]["voxfleet.dev/region"] == region


def test_a_region_may_differ_from_the_others(render: Render) -> None:
    region = {
        "name": "eu",
        "replicas": 5,
        "nodeSelector": {"pool": "edge"},
        "tolerations": [{"key": "edge", "operator": "Exists"}],
    }
    rendered = deployments(render({"gateway": {"regions": [region, {"name": "us"}]}}))
    assert rendered["voxfleet-gateway-eu"]["spec"]["replicas"] == 5
    assert pod(rendered["voxfleet-gateway-eu"])["nodeSelector"] == {"pool": "edge"}
    assert pod(rendered["voxfleet-gateway-eu"])["tolerations"] == region["tolerations"]
    assert rendered["voxfleet-gateway-us"]["spec"]["replicas"] == 2
    assert "tolerations" not in pod(rendered["voxfleet-gateway-us"])


def test_without_regions_one_gateway_deployment_runs_anywhere(render: Render) -> None:
    gateway = deployments(render())["voxfleet-gateway"]
    assert "nodeSelector" not in pod(gateway)
    assert "VOXFLEET_REGION" not in environment(gateway)


def test_selectors_select_their_own_pods_only(manifests: list[Manifest]) -> None:
    labels = {
        name: deployment["spec"]["template"]["metadata"]["labels"]
        for name, deployment in deployments(manifests).items()
    }
    for name, deployment in deployments(manifests).items():
        selector = deployment["spec"]["selector"]["matchLabels"].items()
        assert [other for other in labels if selector <= labels[other].items()] == [name]
    chosen = {
        manifest["metadata"]["name"]: {
            name for name in labels if manifest["spec"]["selector"].items() <= labels[name].items()
        }
        for manifest in manifests
        if manifest["kind"] == "Service"
    }
    assert chosen == {
        "voxfleet-gateway": {"voxfleet-gateway-eu-central", "voxfleet-gateway-us-east"},
        "voxfleet-gateway-eu-central": {"voxfleet-gateway-eu-central"},
        "voxfleet-gateway-us-east": {"voxfleet-gateway-us-east"},
        "voxfleet-gateway-internal": {"voxfleet-gateway-eu-central", "voxfleet-gateway-us-east"},
    }


def test_pods_do_not_restart_for_a_new_chart_version(manifests: list[Manifest]) -> None:
    for deployment in deployments(manifests).values():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_a_gateway_terminates_only_when_its_replacement_is_ready(manifests: list[Manifest]) -> None:
    for name, deployment in deployments(manifests).items():
        if component(deployment) == "gateway":
            assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}, name
    budgets = [manifest for manifest in manifests if manifest["kind"] == "PodDisruptionBudget"]
    assert [budget["metadata"]["name"] for budget in budgets] == ["voxfleet-gateway-eu-central"]  # us-east has one pod
    assert budgets[0]["spec"]["maxUnavailable"] == 1


def test_only_one_operator_runs_at_a_time(manifests: list[Manifest]) -> None:
    operator = deployments(manifests)["voxfleet-operator"]["spec"]
    assert (operator["replicas"], operator["strategy"]) == (1, {"type": "Recreate"})


def test_the_grace_period_is_longer_than_the_drain(render: Render) -> None:
    gateway = deployments(render({"gateway": {"drainSeconds": 400}}))["voxfleet-gateway"]
    drain = int(environment(gateway)["VOXFLEET_DRAIN_SECONDS"]["value"])
    assert pod(gateway)["terminationGracePeriodSeconds"] >= drain + 15


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "localhost/voxfleet-gateway:0.1.0"),
        ({"image": {"tag": "dev"}}, "localhost/voxfleet-gateway:dev"),
        ({"image": {"registry": ""}, "gateway": {"image": {"tag": "2"}}}, "voxfleet-gateway:2"),
        (
            {"image": {"registry": "registry.test/team"}, "gateway": {"image": {"digest": "sha256:" + "a" * 64}}},
            "registry.test/team/voxfleet-gateway@sha256:" + "a" * 64,
        ),
    ],
)
def test_image_names(render: Render, values: Manifest, expected: str) -> None:
    assert pod(deployments(render(values))["voxfleet-gateway"])["containers"][0]["image"] == expected


def test_the_operator_gets_image_host_paths_and_domain(render: Render) -> None:
    values = {
        "image": {"tag": "dev", "pullPolicy": "Never"},
        "allowedHostPaths": ["/models", "/mnt/weights"],
        "clusterDomain": "cluster.test",
    }
    variables = environment(deployments(render(values))["voxfleet-operator"])
    assert variables["VOXFLEET_INFERENCE_IMAGE"]["value"] == "localhost/voxfleet-inference:dev"
    assert variables["VOXFLEET_IMAGE_PULL_POLICY"]["value"] == "Never"
    assert variables["VOXFLEET_ALLOWED_HOST_PATHS"]["value"] == "/models,/mnt/weights"
    assert variables["VOXFLEET_CLUSTER_DOMAIN"]["value"] == "cluster.test"


def test_gateways_get_the_trusted_proxies(render: Render) -> None:
    gateway = deployments(render({"gateway": {"trustedProxies": ["10.0.0.0/8", "fd00::/8"]}}))["voxfleet-gateway"]
    assert environment(gateway)["VOXFLEET_TRUSTED_PROXIES"]["value"] == "10.0.0.0/8,fd00::/8"


def test_gateways_mount_location_databases_and_read_the_address_header(render: Render) -> None:
    claim = {"persistentVolumeClaim": {"claimName": "geo"}}
    values = {"gateway": {"locationDatabase": claim, "clientAddressHeader": "Forwarded"}}
    gateway = deployments(render(values))["voxfleet-gateway"]
    assert environment(gateway)["VOXFLEET_LOCATION_DATABASE"]["value"] == "/etc/voxfleet/location"
    assert environment(gateway)["VOXFLEET_CLIENT_ADDRESS_HEADER"]["value"] == "Forwarded"
    pod = gateway["spec"]["template"]["spec"]
    assert {"name": "location", **claim} in pod["volumes"]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert (mounts["location"]["mountPath"], mounts["location"]["readOnly"]) == ("/etc/voxfleet/location", True)
    plain = deployments(render())["voxfleet-gateway"]
    assert "VOXFLEET_LOCATION_DATABASE" not in environment(plain)


def test_probes_use_the_internal_port_where_connections_begin_with_a_proxy_header(render: Render) -> None:
    """The kubelet's address may lie in the balancers' network, and it sends no header."""
    for values, port, scheme in (
        ({}, "http", "HTTP"),
        ({"tls": {"secretName": "web"}}, "http", "HTTPS"),
        ({"tls": {"secretName": "web"}, "proxyProtocol": ["10.0.0.0/8"]}, "internal", "HTTP"),
    ):
        gateway = deployments(render({"gateway": values}))["voxfleet-gateway"]
        container = gateway["spec"]["template"]["spec"]["containers"][0]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert (container[probe]["httpGet"]["port"], container[probe]["httpGet"]["scheme"]) == (port, scheme)
        assert environment(gateway)["VOXFLEET_PROXY_PROTOCOL"]["value"] == ",".join(values.get("proxyProtocol", []))


def test_services_can_keep_the_clients_addresses(render: Render) -> None:
    def policies(values: Manifest) -> set[str | None]:
        services = [each for each in render({"gateway": {"service": values}}) if each["kind"] == "Service"]
        return {
            each["spec"].get("externalTrafficPolicy") for each in services if each["spec"].get("clusterIP") != "None"
        }

    assert policies({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}) == {"Local"}
    assert policies({"type": "ClusterIP", "externalTrafficPolicy": "Local"}) == {None}


@pytest.mark.parametrize(
    ("kubernetes", "distribution"), [("1.31.0", "PreferClose"), ("1.33.9", "PreferClose"), ("1.34.0", "PreferSameZone")]
)
def test_the_traffic_distribution_fits_the_kubernetes_version(
    render: Render, kubernetes: str, distribution: str
) -> None:
    services = [
        manifest
        for manifest in render(kubernetes=kubernetes)
        if manifest["kind"] == "Service" and manifest["spec"].get("clusterIP") != "None"
    ]
    assert [service["spec"]["trafficDistribution"] for service in services] == [distribution]


def test_network_policies_are_optional_and_restrict_the_internal_port(render: Render) -> None:
    assert not [manifest for manifest in render() if manifest["kind"] == "NetworkPolicy"]
    policies = {
        manifest["metadata"]["name"]: manifest["spec"]["ingress"]
        for manifest in render({"networkPolicy": {"enabled": True}})
        if manifest["kind"] == "NetworkPolicy"
    }
    opened = {rule["ports"][0]["port"]: rule.get("from") for rule in policies["voxfleet-gateway"]}
    assert opened.keys() == {6006, 9090, 9091}
    assert opened[6006] is None
    assert opened[9091] is not None
    *parts, servers = opened[9091]
    callers = [each["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in parts]
    assert callers == ["operator", "gateway"], "gateways hand held requests over to one another"
    (expression,) = servers["podSelector"]["matchExpressions"]
    assert (expression["key"], servers["namespaceSelector"]) == ("voxfleet.dev/deployment", {}), "they fetch voices"
    assert {rule["ports"][0]["port"] for rule in policies["voxfleet-operator"]} == {9090}


@pytest.mark.parametrize(
    ("regions", "services"),
    [([], {"voxfleet-gateway"}), (["eu", "us"], {"voxfleet-gateway-eu", "voxfleet-gateway-us"})],
)
def test_a_gateway_knows_the_service_of_its_region(render: Render, regions: list[str], services: set[str]) -> None:
    manifests = render({"gateway": {"regions": [{"name": name} for name in regions]}})
    gateways = [each for each in manifests if each["kind"] == "Deployment" and "gateway" in each["metadata"]["name"]]
    named = {
        variable["value"]
        for each in gateways
        for variable in each["spec"]["template"]["spec"]["containers"][0]["env"]
        if variable["name"] == "VOXFLEET_GATEWAY_SERVICE"
    }
    assert named == services
    assert services <= {each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}


def test_a_tls_secret_is_mounted_as_a_folder_and_probed_by_https(render: Render) -> None:
    rendered = render({"gateway": {"tls": {"secretName": "web"}}})
    gateway = deployments(rendered)["voxfleet-gateway"]
    container = pod(gateway)["containers"][0]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert {"name": "tls", "secret": {"secretName": "web"}} in pod(gateway)["volumes"]
    assert "subPath" not in mounts["tls"]
    for variable, file in (("CERTIFICATE", "tls.crt"), ("KEY", "tls.key")):
        assert environment(gateway)[f"VOXFLEET_TLS_{variable}"]["value"] == f"{mounts['tls']['mountPath']}/{file}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    (service,) = [
        each for each in rendered if each["metadata"]["name"] == "voxfleet-gateway" and each["kind"] == "Service"
    ]
    assert service["spec"]["ports"][0]["appProtocol"] == "https"
    assert service["metadata"]["annotations"] == {"traefik.ingress.kubernetes.io/service.serversscheme": "https"}


def test_pods_and_gateways_find_voices_by_the_headless_service(render: Render) -> None:
    rendered = render({"clusterDomain": "cluster.test"})
    peers = "voxfleet-gateway-internal.voxfleet-system.svc.cluster.test:9091"
    assert environment(deployments(rendered)["voxfleet-gateway"])["VOXFLEET_VOICE_PEERS"]["value"] == peers
    assert (
        environment(deployments(rendered)["voxfleet-operator"])["VOXFLEET_VOICE_SOURCE"]["value"] == f"http://{peers}"
    )
    without = render({"gateway": {"voices": {"enabled": False}}})
    assert "VOXFLEET_VOICE_SOURCE" not in environment(deployments(without)["voxfleet-operator"])
    assert "voxfleet-gateway-internal" not in {each["metadata"]["name"] for each in without}


def test_large_bounds_are_written_as_integers(render: Render) -> None:
    gateway = deployments(render({"gateway": {"voices": {"maxBytes": 10_000_000_000}}}))["voxfleet-gateway"]
    assert environment(gateway)["VOXFLEET_MAX_VOICES_BYTES"]["value"] == "10000000000"


def test_browsers_and_balancers_settings_reach_the_gateway(render: Render) -> None:
    values = {"gateway": {"keepAliveSeconds": 620, "allowedOrigins": ["https://a.example", "http://localhost:3000"]}}
    gateway = environment(deployments(render(values))["voxfleet-gateway"])
    assert gateway["VOXFLEET_KEEP_ALIVE_SECONDS"]["value"] == "620"
    assert gateway["VOXFLEET_ALLOWED_ORIGINS"]["value"] == "https://a.example,http://localhost:3000"
