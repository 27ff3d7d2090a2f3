"""Wrong values are rejected before any request to the cluster, with a message that names the field."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from voxfleet_testbed.settings import REPOSITORY

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]
Template = Callable[..., subprocess.CompletedProcess[str]]

CHART = REPOSITORY / "charts" / "voxfleet"
SHAPES_OF_KUBERNETES = {
    "gateway.locationDatabase",  # a volume's source; the DNS engine's is of the chart's own shape
    "resources",
    "affinity",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "annotations",
    "labels",
}

WRONG: list[tuple[Manifest, str, str]] = [
    # values, the field that the message names, what it says about it
    ({"gateways": {}}, "at ''", "'gateways' not allowed"),
    ({"gateway": {"replica": 2}}, "/gateway'", "'replica' not allowed"),
    ({"gateway": {"replicas": 0}}, "/gateway/replicas", "want 1"),
    ({"gateway": {"replicas": "two"}}, "/gateway/replicas", "want integer"),
    ({"gateway": {"drainSeconds": 0}}, "/gateway/drainSeconds", "want 1"),
    ({"gateway": {"regions": [{}]}}, "/gateway/regions/0", "missing property 'name'"),
    ({"gateway": {"regions": [{"name": "EU"}]}}, "/gateway/regions/0/name", "'EU' does not match"),
    ({"gateway": {"regions": [{"name": "a" * 41}]}}, "/gateway/regions/0/name", "does not match"),
    ({"gateway": {"regions": [{"name": "a"}, {"name": "a"}]}}, "gateway.regions", '"a" is listed twice'),
    ({"gateway": {"trustedProxies": ["10.0.0.1"]}}, "/gateway/trustedProxies/0", "'10.0.0.1' does not match"),
    ({"gateway": {"proxyProtocol": ["10.0.0.1"]}}, "/gateway/proxyProtocol/0", "'10.0.0.1' does not match"),
    ({"gateway": {"clientAddressHeader": "X-Real-IP"}}, "/gateway/clientAddressHeader", "'Forwarded'"),
    ({"gateway": {"locationDatabase": {"secret": {}, "nfs": {}}}}, "/gateway/locationDatabase", "maxProperties"),
    ({"gateway": {"service": {"externalTrafficPolicy": "Node"}}}, "/gateway/service/externalTrafficPolicy", "'Local'"),
    ({"gateway": {"keepAliveSeconds": 0}}, "/gateway/keepAliveSeconds", "want 1"),
    ({"gateway": {"allowedOrigins": ["app.example.com"]}}, "/gateway/allowedOrigins/0", "does not match"),
    ({"gateway": {"tls": {"secret": "web"}}}, "/gateway/tls", "'secret' not allowed"),
    ({"gateway": {"voices": {"enabled": "yes"}}}, "/gateway/voices/enabled", "want boolean"),
    ({"gateway": {"service": {"type": "ExternalName"}}}, "/gateway/service/type", "'LoadBalancer'"),
    ({"gateway": {"extraEnv": [{"value": "1"}]}}, "/gateway/extraEnv/0", "missing property 'name'"),
    ({"gateway": {"keys": {"secret": "x"}}}, "/gateway/keys'", "'secret' not allowed"),
    ({"gateway": {"keys": {"existingSecret": "A b"}}}, "/gateway/keys/existingSecret", "'A b' does not match"),
    ({"gateway": {"tenants": [{}]}}, "/gateway/tenants/0", "missing property 'name'"),
    ({"gateway": {"tenants": [{"name": "a b"}]}}, "/gateway/tenants/0/name", "'a b' does not match"),
    ({"gateway": {"tenants": [{"name": "a", "burst": 0}]}}, "/gateway/tenants/0/burst", "want 1"),
    ({"gateway": {"tenants": [{"name": "a", "rps": 1}]}}, "/gateway/tenants/0", "'rps' not allowed"),
    ({"gateway": {"tenants": [{"name": "a"}, {"name": "a"}]}}, "gateway.tenants", '"a" is listed twice'),
    ({"operator": {"logLevel": "loud"}}, "/operator/logLevel", "'debug', 'info', 'warning', 'error'"),
    ({"operator": {"image": {"digest": "abc"}}}, "/operator/image/digest", "'abc' does not match"),
    ({"operator": {"image": {"repository": ""}}}, "/operator/image/repository", "minLength"),
    ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"),
    ({"image": {"tag": "no spaces"}}, "/image/tag", "'no spaces' does not match"),
    ({"image": {"pullSecrets": ["mine"]}}, "/image/pullSecrets/0", "want object"),
    ({"demandNamespace": {"create": "yes"}}, "/demandNamespace/create", "want boolean"),
    ({"demandNamespace": {"name": "voxfleet-system"}}, "demandNamespace.name", "needs one of its own"),
    ({"secretNamespaces": ["*"]}, "/secretNamespaces/0", "'*' does not match"),
    ({"allowedHostPaths": ["models"]}, "/allowedHostPaths/0", "'models' does not match"),
    ({"allowedHostPaths": ["/"]}, "/allowedHostPaths/0", "'/' does not match"),
    ({"allowedHostPaths": ["/models/../etc"]}, "/allowedHostPaths/0", "does not match"),
    ({"allowedHostPaths": ["/a,/b"]}, "/allowedHostPaths/0", "does not match"),
    ({"allowedPeerNetworks": ["10.0.0.1"]}, "/allowedPeerNetworks/0", "'10.0.0.1' does not match"),
    ({"allowedPeerDomains": ["*.example.com"]}, "/allowedPeerDomains/0", "'*.example.com' does not match"),
    ({"hubAccess": {"drainNamespaces": ["*"]}}, "/hubAccess/drainNamespaces/0", "'*' does not match"),
    ({"operator": {"enabled": "no"}}, "/operator/enabled", "want boolean"),
    ({"internalKey": {"value": "secret"}}, "/internalKey", "'value' not allowed"),
]


def leaves(values: Manifest, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted path; Kubernetes' own shapes are one value each."""
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and SHAPES_OF_KUBERNETES.isdisjoint({name, path}):
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


@pytest.mark.parametrize(("values", "field", "message"), WRONG, ids=[json.dumps(case[0])[:60] for case in WRONG])
def test_wrong_values_are_rejected_by_name(template: Template, values: Manifest, field: str, message: str) -> None:
    refused = template(values)
    assert refused.returncode != 0
    assert field in refused.stderr
    assert message in refused.stderr


def test_every_default_passes_its_own_schema(render: Render) -> None:
    assert render(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_an_umbrella_chart_may_pass_its_globals(render: Render) -> None:
    assert render({"global": {"anything": 1}})


def test_schema_and_defaults_have_the_same_fields() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def fields(node: Manifest, above: str = "") -> Iterator[str]:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node
        for name, child in node.get("properties", {}).items():
            child_node = schema["definitions"][child["$ref"].rsplit("/", 1)[-1]] if "$ref" in child else child
            if "properties" in child_node and SHAPES_OF_KUBERNETES.isdisjoint({name, f"{above}{name}"}):
                yield from fields(child_node, f"{above}{name}.")
            else:
                yield f"{above}{name}"

    defaults = {path for path, _ in leaves(yaml.safe_load((CHART / "values.yaml").read_text()))}
    assert set(fields(schema)) - {"global"} == defaults


def test_each_rendering_generates_a_random_key(render: Render) -> None:
    keys = {
        base64.b64decode(manifest["data"]["key"])
        for _ in range(2)
        for manifest in render()
        if manifest["kind"] == "Secret"
    }
    assert len(keys) == 2
    assert all(len(key) >= 32 for key in keys)


def test_an_existing_secret_replaces_the_generated_key(render: Render) -> None:
    rendered = render({"internalKey": {"existingSecret": "mine"}})
    assert not [manifest for manifest in rendered if manifest["kind"] == "Secret"]
    used = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for manifest in rendered
        if manifest["kind"] == "Deployment"
        for variable in manifest["spec"]["template"]["spec"]["containers"][0]["env"]
        if variable["name"] == "VOXFLEET_INTERNAL_KEY"
    }
    assert used == {"mine"}
