"""Ways in, on a real API server with published definitions: made, refused, withdrawn, made when a kind appears."""

import base64
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_operator import names

DEFINITIONS = Path(__file__).parent / "definitions"
DEFINITION_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GATEWAY_API, MONITORING = "gateway.networking.k8s.io", "monitoring.coreos.com"
MONITORING_PEERS = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
SPEC: dict[str, Any] = {"regions": [{"name": "eu-central"}], "autoscaling": {"idleTimeoutSeconds": 600}}
ROUTE = {"parentRefs": [{"name": "public", "sectionName": "https"}], "hostnames": ["tts.example.com"]}
NOTEBOOK = {"enabled": True, "tlsSecretName": "lab-tls", "host": "lab.tts.example.com"}


@pytest.fixture(scope="module")
def installation(installation: Any) -> Any:
    """The operator of this module offers every way in."""
    installation.operator.stop()
    installation.operator.environment |= {
        "VOXFLEET_ALLOWED_INGRESS_DOMAINS": "tts.example.com",
        "VOXFLEET_NOTEBOOKS": "true",
        "VOXFLEET_METRICS_FROM": json.dumps(MONITORING_PEERS),
    }
    installation.operator.start()
    return installation


@pytest.fixture
def definitions(world: Any) -> Iterator[list[dict[str, Any]]]:
    """The definitions, which are not applied yet; taken away at the end."""
    bodies = [yaml.safe_load(path.read_text()) for path in sorted(DEFINITIONS.glob("*.yaml"))]
    yield bodies
    remove(world, bodies)


def remove(world: Any, bodies: list[dict[str, Any]]) -> None:
    paths = [f"{DEFINITION_PATH}/{body['metadata']['name']}" for body in bodies]
    for path in paths:
        if world.exists(path):
            world.api.delete(path)
    world.until_gone(*paths)


def paths_of(world: Any, name: str = "narrator") -> dict[str, str]:
    in_system = names.way_in_name(world.namespace, name)
    own, system = (f"namespaces/{namespace}" for namespace in (world.namespace, world.system_namespace))
    return {
        "HTTPRoute": f"/apis/{GATEWAY_API}/v1/{own}/httproutes/{name}",
        "ReferenceGrant": f"/apis/{GATEWAY_API}/v1beta1/{system}/referencegrants/{in_system}",
        "PodMonitor": f"/apis/{MONITORING}/v1/{own}/podmonitors/{name}",
        "Ingress": f"/apis/networking.k8s.io/v1/{system}/ingresses/{in_system}",
        "StatefulSet": f"/apis/apps/v1/{own}/statefulsets/{name}-notebook",
        "Service": f"/api/v1/{own}/services/{name}-notebook",
        "NetworkPolicy": f"/apis/networking.k8s.io/v1/{own}/networkpolicies/{name}-notebook",
        "notebook's Ingress": f"/apis/networking.k8s.io/v1/{own}/ingresses/{name}-notebook",
        "Secret": f"/api/v1/{own}/secrets/{name}-notebook",
    }


def test_absent_kinds_are_a_condition_until_they_are_installed_and_again_when_they_go(
    world: Any, definitions: list[dict[str, Any]]
) -> None:
    paths = {kind: paths_of(world)[kind] for kind in ("HTTPRoute", "ReferenceGrant", "PodMonitor")}
    world.apply({**SPEC, "route": ROUTE, "monitoring": {"podMonitor": True}})
    world.settled("Asleep")
    degraded = world.until_condition("Degraded", "KindNotServed")
    for words in ("does not serve HTTPRoute", "does not serve PodMonitor", "install the Gateway API"):
        assert words in degraded["message"]
    assert world.condition("Ready")["status"] == "True", "it is served without them"
    world.until_quiet()
    for body in definitions:
        world.api.apply(f"{DEFINITION_PATH}/{body['metadata']['name']}", body)
    for kind, path in paths.items():
        world.until(lambda path=path: world.exists(path), f"{kind} is made")
    world.until_condition("Degraded", "AsExpected")
    world.until_quiet()
    made = {kind: world.api.get(path) for kind, path in paths.items()}
    assert made["HTTPRoute"]["spec"]["rules"][0]["timeouts"] == {"request": "0s"}
    assert made["HTTPRoute"]["metadata"]["ownerReferences"][0]["name"] == "narrator"

    world.operator.kill()
    world.operator.start()
    world.until_quiet()
    for kind, path in paths.items():
        assert world.api.get(path)["metadata"]["resourceVersion"] == made[kind]["metadata"]["resourceVersion"], kind

    refuse(world, paths["HTTPRoute"])
    refused = world.until_condition("Degraded", "RouteRefused")
    assert "public: NotAllowedByListeners: no listener admits this namespace" in refused["message"]

    world.apply(SPEC)
    world.until_gone(*paths.values())
    world.until_condition("Degraded", "AsExpected")

    world.apply({**SPEC, "monitoring": {"podMonitor": True}})
    world.until(lambda: world.exists(paths["PodMonitor"]), "made again")
    remove(world, definitions)
    world.until_condition("Degraded", "KindNotServed")
    assert world.operator.is_ready()


def refuse(world: Any, path: str) -> None:
    """Write what a Gateway's controller writes."""
    stamp = "2026-11-23T20:00:00Z"
    conditions = [
        {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners"},
        {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs"},
    ]
    conditions = [{"message": "no listener admits this namespace", "lastTransitionTime": stamp} | c for c in conditions]
    parent = {"parentRef": ROUTE["parentRefs"][0], "controllerName": "example.com/gateway", "conditions": conditions}
    status = {"status": {"parents": [parent]}}
    world.api.request("PATCH", f"{path}/status", status, "application/merge-patch+json")


def test_an_ingress_is_made_within_the_allowed_domains_and_its_host_has_one_owner(world: Any) -> None:
    path = paths_of(world)["Ingress"]
    ingress = {"host": "eu.tts.example.com", "className": "nginx", "tlsSecretName": "tls"}
    world.apply({**SPEC, "ingress": ingress})
    world.until(lambda: world.exists(path), "the Ingress is made")
    found = world.api.get(path)
    assert found["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] == "voxfleet-gateway"
    assert found["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    world.until_condition("Degraded", "AsExpected")

    world.apply({**SPEC, "ingress": ingress}, name="second")
    taken = world.until_condition("Degraded", "HostTaken", "second")
    assert f"{world.namespace}/narrator" in taken["message"]
    world.apply({**SPEC, "ingress": {"host": "bank.example.org"}}, name="third")
    assert (
        "tts.example.com, not bank.example.org"
        in world.until_condition("Degraded", "HostForbidden", "third")["message"]
    )
    assert not world.exists(paths_of(world, "second")["Ingress"])

    world.api.delete(world.resource_path())
    world.until(lambda: world.exists(paths_of(world, "second")["Ingress"]), "the younger one has the host now")
    world.until_gone(path)


def test_a_notebook_keeps_its_token_over_changes_and_restarts_and_nothing_reveals_it(world: Any) -> None:
    paths = {kind: path for kind, path in paths_of(world).items() if kind not in {"HTTPRoute", "ReferenceGrant"}}
    made = [kind for kind in paths if kind not in {"Ingress", "PodMonitor"}]
    world.apply({**SPEC, "notebook": NOTEBOOK})
    for kind in made:
        world.until(lambda kind=kind: world.exists(paths[kind]), f"{kind} of the notebook")
    token = base64.b64decode(world.api.get(paths["Secret"])["data"]["token"]).decode()
    assert len(token) >= 40
    world.until_quiet()

    world.apply({**SPEC, "notebook": {**NOTEBOOK, "allowInternet": True}})
    policy = paths["NetworkPolicy"]
    world.until(lambda: len(world.api.get(policy)["spec"]["egress"]) == 4, "the policy follows the spec")
    world.operator.kill()
    world.operator.start()
    world.until_quiet()
    assert base64.b64decode(world.api.get(paths["Secret"])["data"]["token"]).decode() == token
    revealing = [world.operator.log.read_text(), str(world.status()), str(world.api.get(paths["StatefulSet"]))]
    assert not [text for text in revealing if token in text]

    world.api.delete(paths["Secret"])
    status = {"status": {"replicas": 1, "readyReplicas": 0}}  # its pod does not start without the Secret
    world.api.request("PATCH", f"{paths['StatefulSet']}/status", status, "application/merge-patch+json")
    world.until(lambda: world.exists(paths["Secret"]), "a token is generated again")
    assert base64.b64decode(world.api.get(paths["Secret"])["data"]["token"]).decode() != token
    world.until_quiet()

    world.apply({**SPEC, "notebook": {**copy.deepcopy(NOTEBOOK), "enabled": False}})
    world.until_gone(*(paths[kind] for kind in made if kind != "Secret"))
    assert world.exists(paths["Secret"]), "the same token when it is enabled again"


def test_servers_are_reached_through_gateways_and_scraped_from_the_named_namespace(world: Any) -> None:
    world.apply(SPEC)
    world.settled("Asleep")
    policy = world.api.get(
        f"/apis/networking.k8s.io/v1/namespaces/{world.namespace}/networkpolicies/narrator-inference"
    )
    sources = {rule["ports"][0]["port"]: rule["from"] for rule in policy["spec"]["ingress"]}
    callers = {port: [peer.get("podSelector", {}) for peer in peers] for port, peers in sources.items()}
    assert [each["matchLabels"]["app.kubernetes.io/component"] for each in callers[6006]] == ["gateway"]
    assert sources[9090] == MONITORING_PEERS
