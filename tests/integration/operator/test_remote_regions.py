"""A region in another cluster, on two real API servers: the operator reaches the second one as the chart's hub account.

The second cluster's API server is stopped, killed and started again; the home region must not notice.
"""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_operator import names
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

# conftest.World: pytest loads test folders without packages, so the class cannot be imported by name.
World = Any

HOME, AWAY = "eu-central", "ap-south"
SECRET = "ap-kubeconfig"
REMOTE_REGION = {"name": AWAY, "gatewayURL": "https://ap.tts.example.com", "kubeConfigSecretRef": {"name": SECRET}}
SPEC: dict[str, Any] = {"regions": [{"name": HOME}, REMOTE_REGION], "autoscaling": {"idleTimeoutSeconds": 600}}
JSON_MERGE = "application/merge-patch+json"


@dataclass
class Remote:
    """The second cluster."""

    control_plane: ControlPlane
    kubeconfig: bytes

    @property
    def api(self) -> Api:
        return self.control_plane.api

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """The API server accepts connections and answers nothing."""
        process = self.api_server()
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def api_server(self) -> int:
        """The process id: the only API server that has this cluster's certificates in its command line."""
        certificates = str(self.control_plane.certificates).encode()
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                line = (folder / "cmdline").read_bytes()
                if line.partition(b"\0")[0].endswith(b"kube-apiserver") and certificates in line:
                    return int(folder.name)
        raise AssertionError("no API server of the second cluster")

    @contextmanager
    def killed(self) -> Iterator[None]:
        """The API server's port refuses connections."""
        os.kill(self.api_server(), signal.SIGKILL)
        self.control_plane.run.stop("kube-apiserver")
        try:
            yield
        finally:
            self.control_plane.start_api_server()


@pytest.fixture(scope="module")
def second(testbed_settings: Settings, second_control_plane: ControlPlane) -> ControlPlane:
    with skipping(testbed_settings):
        build(find_programs(testbed_settings), ["helm"])
    return second_control_plane


@pytest.fixture(scope="module")
def remote(second: ControlPlane, installation: World, testbed_settings: Settings) -> Remote:
    """The chart's hub access in the second cluster, and a kubeconfig with a token of its account."""
    system, demand = installation.system_namespace, installation.demand_namespace
    for name in (system, demand):
        second.api.apply(
            f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )
    for manifest in hub_access(testbed_settings, system, demand):
        second.api.apply(path_of(manifest), manifest)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"/api/v1/namespaces/{system}/serviceaccounts/voxfleet-hub/token"
    return Remote(second, with_token(second, second.api.request("POST", path, request)["status"]["token"]))


def hub_access(settings: Settings, system: str, demand: str) -> list[dict[str, Any]]:
    values = {
        "operator": {"enabled": False},
        "hubAccess": {"enabled": True},
        "demandNamespace": {"name": demand, "create": False},
    }
    helm = [str(find_programs(settings).path("helm")), "template", "voxfleet", str(REPOSITORY / "charts/voxfleet")]
    command = [*helm, "--namespace", system, "--show-only", "templates/hub-access.yaml", "--values", "-"]
    rendered = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=True, timeout=60)
    return [each for each in yaml.safe_load_all(rendered.stdout) if each and each["kind"] != "Secret"]


def path_of(manifest: dict[str, Any]) -> str:
    kind, metadata = manifest["kind"], manifest["metadata"]
    prefix = "/api/v1" if manifest["apiVersion"] == "v1" else f"/apis/{manifest['apiVersion']}"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{prefix}{namespace}/{kind.lower()}s/{metadata['name']}"


def with_token(control_plane: ControlPlane, token: str) -> bytes:
    config = json.loads(control_plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    return json.dumps(config).encode()


@pytest.fixture
def there(world: World, remote: Remote) -> Iterator[World]:
    """The same resource and namespaces, seen in the second cluster, with a gateway there."""
    gateway = type(world.gateway)()
    made = replace(world, api=remote.api, gateway=gateway, made=[])
    for namespace in (world.namespace, world.system_namespace):
        with suppress(ApiError):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            remote.api.apply(f"/api/v1/namespaces/{namespace}", body)
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        account |= {"metadata": {"name": "default", "namespace": namespace}}
        remote.api.apply(f"/api/v1/namespaces/{namespace}/serviceaccounts/default", account)
    publish_gateway(made)
    made.set_load(region=AWAY)
    set_secret(world, remote.kubeconfig)
    try:
        yield made
    finally:
        with suppress(ApiError):
            patch = {"metadata": {"annotations": {names.ANNOTATION_ABANDON_REMOTE: "*"}}}
            world.api.request("PATCH", world.resource_path(), patch, JSON_MERGE)
        gateway.close()


def publish_gateway(there: World) -> None:
    """A gateway's pod and EndpointSlice in the second cluster: its API server connects to the pod's address."""
    pod = f"/api/v1/namespaces/{there.system_namespace}/pods/gateway-0"
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod"}
    body["metadata"] = {"name": "gateway-0", "namespace": there.system_namespace}
    body["spec"] = {"containers": [{"name": "gateway", "image": "none"}], "automountServiceAccountToken": False}
    there.api.apply(pod, body)
    there.pod_ready(pod, there.gateway.address)
    there.publish_gateway()
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{there.system_namespace}/endpointslices/voxfleet-gateway-1"
    target = {"kind": "Pod", "namespace": there.system_namespace, "name": "gateway-0"}
    endpoint = {"addresses": [there.gateway.address], "conditions": {"ready": True}, "targetRef": target}
    there.api.request("PATCH", slices, {"endpoints": [endpoint]}, JSON_MERGE)


def set_secret(world: World, content: bytes, name: str = SECRET) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/secrets/{name}"
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    world.api.apply(path, body | {"data": {"value": base64.b64encode(content).decode()}})


def finalizers(world: World) -> list[str]:
    found: list[str] = world.api.get(world.resource_path())["metadata"].get("finalizers") or []
    return found


def remote_paths(world: World) -> list[str]:
    return [world.lease_path(AWAY), world.deployment_path(AWAY), world.registry_path()]


def make(world: World, there: World, spec: dict[str, Any] = SPEC) -> None:
    world.apply(spec)
    there.until(lambda: all(there.exists(path) for path in remote_paths(world)), "objects in the second cluster")
    world.until(lambda: world.condition("Ready").get("status") == "True", "ready")


def is_local(world: World) -> dict[str, bool]:
    return {region["name"]: region["local"] for region in world.registry()["regions"]}


def test_a_remote_region_wakes_scales_and_is_deleted(world: World, there: World) -> None:
    make(world, there)
    assert is_local(world) == {HOME: True, AWAY: False}
    assert is_local(there) == {HOME: False, AWAY: True}
    assert not world.exists(world.deployment_path(AWAY))
    assert not there.exists(there.deployment_path(HOME))
    lease = there.api.get(there.lease_path(AWAY))["metadata"]
    assert "ownerReferences" not in lease
    assert names.FINALIZER in finalizers(world)

    there.renew(AWAY)
    there.until(lambda: there.replicas(AWAY) == 1, "woken")
    pod = there.pod("server-1", AWAY)
    there.pod_ready(pod)
    there.set_load("10.9.9.9", open_requests=40, region=AWAY)
    there.until(lambda: there.replicas(AWAY) == 3, "40 requests of 16 per replica need three")
    world.settled("Awake", AWAY)
    assert world.phase(HOME) == "Asleep"
    assert {each["name"]: each["phase"] for each in world.registry()["regions"]}[AWAY] == "Awake"

    world.api.delete(world.resource_path())
    there.until_gone(*remote_paths(world))
    world.until_gone(world.resource_path())
    service = f"/api/v1/namespaces/{world.namespace}/services/{names.regional_name('narrator', AWAY)}"
    assert not there.exists(service)


def test_a_remote_region_sleeps_when_it_is_idle(world: World, there: World) -> None:
    make(world, there, SPEC | {"autoscaling": {"idleTimeoutSeconds": 5}})
    there.renew(AWAY)
    there.until(lambda: there.replicas(AWAY) == 1, "woken")
    pod = there.pod("server-1", AWAY)
    there.pod_ready(pod)
    there.set_load("10.9.9.9", region=AWAY)
    world.settled("Awake", AWAY)
    there.until(lambda: there.replicas(AWAY) == 0, "asleep again")
    there.delete_pod(pod)
    world.settled("Asleep", AWAY)


@pytest.mark.parametrize("absence", ["suspended", "killed"])
def test_a_cluster_that_is_away_degrades_its_region_alone_and_heals(
    world: World, there: World, remote: Remote, absence: str
) -> None:
    make(world, there)
    with getattr(remote, absence)():
        degraded = world.until_condition("Degraded", "ClusterUnreachable")
        assert degraded["message"].startswith(f"region {AWAY}: cluster https://127.")
        assert "stay as they are" in degraded["message"]
        assert world.condition("Ready")["status"] == "True", "this generation is applied there"
        assert world.condition("Stalled")["status"] == "False"
        assert world.phase(AWAY) == "Asleep"
        world.renew(HOME)
        world.until(lambda: world.replicas(HOME) == 1, "the home region wakes meanwhile")
        assert world.operator.metric("voxfleet_operator_remote_cluster_up") == 0
    world.until_condition("Degraded", "AsExpected")
    there.renew(AWAY)
    there.until(lambda: there.replicas(AWAY) == 1, "the remote region wakes again")


def test_a_deletion_waits_for_its_cluster_says_how_to_give_up_and_can_be_given_up(
    world: World, there: World, remote: Remote
) -> None:
    make(world, there)
    world.renew(HOME)
    world.until(lambda: world.replicas(HOME) == 1, "the home region is awake")
    with remote.suspended():
        world.until_condition("Degraded", "ClusterUnreachable")
        world.api.delete(world.resource_path())
        pending = world.until_condition("Ready", "RemoteCleanup")
        line = f"kubectl annotate vtts narrator -n {world.namespace} voxfleet.dev/abandon-remote={AWAY}"
        assert line in pending["message"]
        assert "not reached" in pending["message"]
        world.until_gone(world.deployment_path(HOME), world.lease_path(HOME), world.registry_path())
        patch = {"metadata": {"annotations": {"voxfleet.dev/abandon-remote": AWAY}}}
        world.api.request("PATCH", world.resource_path(), patch, JSON_MERGE)
        world.until_gone(world.resource_path())
    there.until(lambda: there.exists(there.lease_path(AWAY)), "given up: left as it was")
    for path in remote_paths(world):
        there.api.delete(path)


def test_a_region_that_leaves_the_spec_is_cleaned_up_and_the_finalizer_goes(world: World, there: World) -> None:
    make(world, there)
    world.apply({"regions": [{"name": HOME}]})
    there.until_gone(*remote_paths(world))
    world.until(lambda: not finalizers(world), "no finalizer without remote regions")
    annotations = world.api.get(world.resource_path())["metadata"].get("annotations") or {}
    assert names.ANNOTATION_REMOTE_REGIONS not in annotations


def test_a_resource_and_its_secret_may_be_deleted_in_one_command(world: World, there: World) -> None:
    make(world, there)
    world.api.delete(f"/api/v1/namespaces/{world.namespace}/secrets/{SECRET}")
    assert SECRET in world.until_condition("Degraded", "SecretNotFound")["message"]
    world.api.delete(world.resource_path())
    there.until_gone(*remote_paths(world))
    world.until_gone(world.resource_path())


def test_a_kubeconfig_that_changes_is_used_or_refused_and_heals(world: World, there: World, remote: Remote) -> None:
    make(world, there)
    config = json.loads(remote.kubeconfig)
    config["users"][0]["user"] = {"exec": {"command": "sh", "apiVersion": "client.authentication.k8s.io/v1"}}
    set_secret(world, json.dumps(config).encode())
    refused = world.until_condition("Degraded", "KubeconfigRefused")
    assert "user.exec is refused" in refused["message"]
    set_secret(world, with_token(remote.control_plane, "expired"))
    assert "401" in world.until_condition("Degraded", "ClusterForbidden")["message"]
    set_secret(world, remote.control_plane.kubeconfig.read_bytes())  # the administrator's, with a client certificate
    world.until_condition("Degraded", "AsExpected")
    there.renew(AWAY)
    there.until(lambda: there.replicas(AWAY) == 1, "woken by the new kubeconfig")


def test_an_operator_that_starts_during_an_absence_serves_the_home_region_and_completes_a_deletion_after_it(
    world: World, there: World, remote: Remote
) -> None:
    make(world, there)
    world.operator.stop()
    with remote.suspended():
        world.operator.start()
        world.renew(HOME)
        world.until(lambda: world.replicas(HOME) == 1, "the home region wakes")
        world.until_condition("Degraded", "ClusterUnreachable")
        assert world.phase(AWAY) == "Asleep", "as the status said"
        world.api.delete(world.resource_path())
        world.until_condition("Ready", "RemoteCleanup")
    there.until_gone(*remote_paths(world))
    world.until_gone(world.resource_path())


def test_a_remote_pods_labels_are_no_way_to_the_home_objects(world: World, there: World) -> None:
    """An object that is marked as remote in the home cluster is of another hub: it is left alone."""
    make(world, there)
    body = there.api.get(there.lease_path(AWAY))
    kept = {key: body["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    kept["name"] = "of-another-hub"
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.demand_namespace}/leases/of-another-hub"
    world.api.apply(path, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": kept})
    world.api.delete(world.resource_path())
    world.until_gone(world.resource_path(), world.lease_path(HOME))
    assert world.exists(path)
    world.api.delete(path)
