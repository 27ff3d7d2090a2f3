"""A real API server, a real operator process, a gateway's load endpoint over real HTTP, and pods that tests write.

No kubelet runs here: `World.pod` writes Pod objects with the status that a kubelet would write.
"""

import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_operator import names
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane
from voxfleet_testbed.errors import ApiError
from voxfleet_testbed.fixtures import own_address_or_skip
from voxfleet_testbed.network.addresses import free_ports

ROOT = Path(__file__).parents[3]
CRD = ROOT / "crds" / "voxfleet.dev_voxttsdeployments.yaml"
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/voxttsdeployments.voxfleet.dev"
INTERNAL_KEY = "a key for tests"
LABEL = names.LABEL_DEPLOYMENT
PATIENCE_SECONDS = 60.0  # for events that must happen, on a shared machine; no test waits for the whole of it


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class FakeGateway:
    """Answers /internal/load with the test's figures, to callers with the right token."""

    def __init__(self) -> None:
        self.load: dict[str, Any] = {"gateway": "gw-0", "region": "eu-central", "models": [], "pods": []}
        self.is_mute = False
        self.polls = 0
        gateway = self
        token = hmac.new(INTERNAL_KEY.encode(), b"gateway", hashlib.sha256).hexdigest()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gateway.polls += 1
                # An API server that passes the request on takes Authorization off.
                given = self.headers["Authorization"] or f"Bearer {self.headers['Voxfleet-Internal-Token']}"
                is_right = given == f"Bearer {token}" and self.path == "/internal/load"
                self.send_response(200 if is_right and not gateway.is_mute else 503)
                self.end_headers()
                self.wfile.write(json.dumps(gateway.load).encode())

            def log_message(self, *_: Any) -> None:
                return

        self.address = own_address_or_skip()
        self.server = http.server.ThreadingHTTPServer((self.address, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Operator:
    """The operator as a process."""

    environment: dict[str, str]
    log: Path
    health_port: int
    metrics_port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, until_ready: bool = True) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "voxfleet_operator"], env=self.environment, stdout=output, stderr=output
            )
        if until_ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        wait_until(self.is_ready, PATIENCE_SECONDS, f"operator ready; log: {self.log}")

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self._read(self.health_port, "/readyz") == "ready"
        except (OSError, ConnectionError):
            return False

    def metric(self, name: str) -> float:
        lines = self._read(self.metrics_port, "/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        self.process = None
        return code

    def _read(self, port: int, path: str) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return answer.decode().partition("\r\n\r\n")[2]


def wait_until(is_true: Callable[[], Any], seconds: float, what: str, seen: Callable[[], Any] = str) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := is_true():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what} {seen()}")


@dataclass
class World:
    """The API server, the operator and the gateway of a test, with the namespaces that it uses."""

    api: Api
    operator: Operator
    gateway: FakeGateway
    namespace: str
    system_namespace: str
    demand_namespace: str
    made: list[str] = field(default_factory=list)

    def resource_path(self, name: str = "narrator") -> str:
        return f"/apis/voxfleet.dev/v1alpha1/namespaces/{self.namespace}/voxttsdeployments/{name}"

    def apply(self, spec: dict[str, Any], name: str = "narrator", annotations: dict[str, str] | None = None) -> Any:
        metadata = {"name": name, "namespace": self.namespace, "annotations": annotations or {}}
        body = {"apiVersion": "voxfleet.dev/v1alpha1", "kind": "VoxTTSDeployment", "metadata": metadata, "spec": spec}
        self.made.append(self.resource_path(name))
        return self.api.apply(self.resource_path(name), body)

    def deployment_path(self, region: str = "eu-central", name: str = "narrator") -> str:
        deployment = names.workload_name(name, region, names.POOL_ON_DEMAND)
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{deployment}"

    def lease_path(self, region: str = "eu-central", name: str = "narrator") -> str:
        lease = names.lease_name(self.namespace, name, region)
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.demand_namespace}/leases/{lease}"

    def registry_path(self, name: str = "narrator") -> str:
        config_map = names.registry_name(self.namespace, name)
        return f"/api/v1/namespaces/{self.system_namespace}/configmaps/{config_map}"

    def registry(self, name: str = "narrator") -> Any:
        return json.loads(self.api.get(self.registry_path(name))["data"]["model.json"])

    def exists(self, path: str) -> bool:
        try:
            self.api.get(path)
        except ApiError:
            return False
        return True

    def status(self, name: str = "narrator") -> Any:
        return self.api.get(self.resource_path(name)).get("status") or {}

    def condition(self, kind: str, name: str = "narrator") -> Any:
        found = [item for item in self.status(name).get("conditions", []) if item["type"] == kind]
        return found[0] if found else {}

    def phase(self, region: str = "eu-central", name: str = "narrator") -> str:
        found = [item["phase"] for item in self.status(name).get("regions", []) if item["name"] == region]
        return found[0] if found else ""

    def replicas(self, region: str = "eu-central", name: str = "narrator") -> int:
        count: int = self.api.get(self.deployment_path(region, name))["spec"]["replicas"]
        return count

    def settled(self, phase: str, region: str = "eu-central", name: str = "narrator") -> None:
        wait_until(
            lambda: self.phase(region, name) == phase,
            PATIENCE_SECONDS,
            f"{name}/{region} {phase}; log {self.operator.log}; status",
            lambda: self.status(name),
        )

    def until(self, is_true: Callable[[], Any], what: str) -> None:
        """Wait until a condition holds; a reconcile promises no order of its effects."""
        wait_until(is_true, PATIENCE_SECONDS, f"{what}; log {self.operator.log}")

    def until_quiet(self) -> None:
        """Wait until the operator has sent no request to the API server for a second and a half."""
        calls, since = -1.0, time.monotonic()

        def is_quiet() -> bool:
            nonlocal calls, since
            now_calls = self.operator.metric("voxfleet_operator_api_calls_total")
            if now_calls != calls:
                calls, since = now_calls, time.monotonic()
            return time.monotonic() - since > 1.5

        self.until(is_quiet, "quiet")

    def until_polled(self, rounds: int) -> None:
        """Wait until the operator has polled the gateway so often; each poll of an awake region ends in a reconcile."""
        begin = self.gateway.polls
        self.until(lambda: self.gateway.polls >= begin + rounds, f"{rounds} polls of the gateway's load")

    def until_past_idle_timeout(self, region: str = "eu-central", name: str = "narrator") -> None:
        """Wait until the Lease has run out, and the operator has decided often enough to mark it and go to zero."""

        def has_run_out() -> bool:
            lease = self.api.get(self.lease_path(region, name))["spec"]
            age = datetime.now(UTC) - datetime.fromisoformat(lease["renewTime"])
            return age.total_seconds() > lease["leaseDurationSeconds"]

        self.until(has_run_out, f"the Lease of {name}/{region} has run out")
        self.until_polled(4)

    def until_reconciled(self, more_than: float) -> None:
        """Wait until the operator has reconciled more often than that, and has nothing left to send."""
        self.until(lambda: self.reconciles() > more_than, "another reconcile")
        self.until_quiet()

    def reconciles(self) -> float:
        return self.operator.metric("voxfleet_operator_reconciles_total")

    def until_gone(self, *paths: str) -> None:
        self.until(lambda: not any(self.exists(path) for path in paths), f"gone: {', '.join(paths)}")

    def until_condition(self, kind: str, reason: str, name: str = "narrator") -> Any:
        """The condition, once it has that reason."""
        self.until(lambda: self.condition(kind, name).get("reason") == reason, f"{name} {kind} {reason}")
        return self.condition(kind, name)

    def renew(self, region: str = "eu-central", name: str = "narrator") -> None:
        patch = {"spec": {"renewTime": now_text(), "holderIdentity": "gw-0"}}
        self.api.request("PATCH", self.lease_path(region, name), patch, "application/merge-patch+json")

    def pod(self, name: str, region: str = "eu-central", of: str = "narrator") -> str:
        labels = names.pool_labels(self.namespace, of, region, names.POOL_ON_DEMAND)
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
            "spec": {"containers": [{"name": "inference", "image": "none"}], "automountServiceAccountToken": False},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        self.api.apply(path, body)
        self.made.append(path)
        return path

    def pod_ready(self, path: str, address: str = "10.9.9.9") -> None:
        stamp = now_text()[:19] + "Z"
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": stamp}
            for kind in ("PodScheduled", "PodReadyToStartContainers", "ContainersReady", "Ready")
        ]
        container = {"name": "inference", "image": "none", "imageID": "", "ready": True, "restartCount": 0}
        container |= {"state": {"running": {"startedAt": stamp}}}
        self.pod_status(
            path,
            {
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}],
                "conditions": conditions,
                "containerStatuses": [container],
            },
        )

    def pod_failed(self, path: str, message: str, restarts: int, exit_code: int = 3) -> None:
        ended = {"exitCode": exit_code, "message": message, "reason": "Error"}
        container = {
            "name": "inference",
            "image": "none",
            "imageID": "",
            "ready": False,
            "restartCount": restarts,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": ended},
        }
        self.pod_status(path, {"phase": "Running", "containerStatuses": [container]})

    def pod_status(self, path: str, status: dict[str, Any]) -> None:
        self.api.request("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")

    def delete_pod(self, path: str) -> None:
        self.api.delete(f"{path}?gracePeriodSeconds=0")

    def set_load(
        self,
        *addresses: str,
        open_requests: int = 0,
        held: int = 0,
        name: str = "narrator",
        region: str = "eu-central",
    ) -> None:
        where = {"namespace": self.namespace, "name": name, "region": region}
        row = {"open_requests": open_requests, "state": "ready", "process_seconds": 0.4, "loaded_seconds": 0.2}
        row |= {"warm_seconds": 0.1, "ready_age_seconds": 0.05}
        pods = [{**where, "address": address, "age_seconds": 0.1, "load": row} for address in addresses]
        models = [{**where, "held_requests": held, "open_requests": open_requests}]
        self.gateway.load = {"gateway": "gw-0", "region": "eu-central", "models": models, "pods": pods}

    def publish_gateway(self) -> None:
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "voxfleet-gateway-1",
                "namespace": self.system_namespace,
                "labels": {"kubernetes.io/service-name": "voxfleet-gateway"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.gateway.address], "conditions": {"ready": True}}],
            "ports": [{"name": "internal", "port": self.gateway.port, "protocol": "TCP"}],
        }
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.system_namespace}/endpointslices/voxfleet-gateway-1"
        self.api.apply(path, body)

    def write_count(self) -> float:
        """Requests of all clients that changed something, as the API server counts them."""
        text = self.api.get("/metrics")
        changing = [
            line
            for line in text.splitlines()
            if line.startswith("apiserver_request_total{")
            and any(f'verb="{verb}"' in line for verb in ("POST", "PUT", "PATCH", "APPLY", "DELETE"))
            and any(group in line for group in OURS)
        ]
        return sum(float(line.split()[-1]) for line in changing)


# Not Leases: the API server renews one of its own.
OURS = ("voxttsdeployments", "deployments", "services", "configmaps", "networkpolicies")


@pytest.fixture(scope="session")
def api_with_crd(control_plane: ControlPlane) -> Api:
    define(control_plane.api)
    return control_plane.api


def define(api: Api) -> None:
    """Apply the CRD, and wait until its kind is served."""
    api.apply(CRD_PATH, yaml.safe_load(CRD.read_text()))

    def is_established(body: Any) -> bool:
        conditions = (body.get("status") or {}).get("conditions") or []
        return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)

    api.wait_for(CRD_PATH, is_established, PATIENCE_SECONDS)
    wait_until(lambda: _is_served(api), PATIENCE_SECONDS, "the resource is served")


@pytest.fixture
def define_kind() -> Callable[[Api], None]:
    """Tests cannot import from here by name."""
    return define


def _is_served(api: Api) -> bool:
    with suppress(ApiError):
        api.get("/apis/voxfleet.dev/v1alpha1/voxttsdeployments")
        return True
    return False


@contextmanager
def installed(control_plane: ControlPlane, folder: Path) -> Iterator[World]:
    """An operator, its two namespaces and one gateway."""
    api, stem = control_plane.api, f"op-{os.urandom(4).hex()}"
    for part in ("system", "demand"):
        create_namespace(api, f"{stem}-{part}")
    gateway = FakeGateway()
    health_port, metrics_port = free_ports("127.0.0.1", 2)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "VOXFLEET_KUBECONFIG": str(control_plane.kubeconfig),
        "VOXFLEET_SYSTEM_NAMESPACE": f"{stem}-system",
        "VOXFLEET_DEMAND_NAMESPACE": f"{stem}-demand",
        "VOXFLEET_INTERNAL_KEY": INTERNAL_KEY,
        "VOXFLEET_INFERENCE_IMAGE": "localhost/voxfleet-inference:test",
        "VOXFLEET_HEALTH_HOST": "127.0.0.1",
        "VOXFLEET_HEALTH_PORT": str(health_port),
        "VOXFLEET_METRICS_PORT": str(metrics_port),
        "VOXFLEET_LOAD_POLL_SECONDS": "0.3",
        "VOXFLEET_SECRET_POLL_SECONDS": "0.5",
        "VOXFLEET_REMOTE_REQUEST_SECONDS": "2",
        "VOXFLEET_ALLOWED_PEER_NETWORKS": "127.0.0.0/8",
        "VOXFLEET_ALLOWED_PEER_DOMAINS": "tts.example.com",
    }
    operator = Operator(environment, folder / "operator.log", health_port, metrics_port)
    made = World(api, operator, gateway, "", f"{stem}-system", f"{stem}-demand")
    made.publish_gateway()
    try:
        yield made
    finally:
        operator.stop()
        gateway.close()


@contextmanager
def namespace_of_its_own(installation: World) -> Iterator[World]:
    """At the end every resource is deleted, and the operator runs."""
    namespace = f"user-{os.urandom(4).hex()}"
    create_namespace(installation.api, namespace)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
    installation.api.apply(f"/api/v1/namespaces/{namespace}/serviceaccounts/default", account)
    test_world = replace(installation, namespace=namespace, made=[])
    test_world.gateway.is_mute = False
    test_world.set_load()
    ran_before = installation.operator.process is not None
    try:
        yield test_world
    finally:
        for path in test_world.made:
            with suppress(ApiError):
                test_world.api.delete(f"{path}?gracePeriodSeconds=0")
        if ran_before and test_world.operator.process is None:
            test_world.operator.start()


@pytest.fixture(scope="module")
def installation(
    api_with_crd: Api, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One operator for all tests of a module."""
    assert api_with_crd
    with installed(control_plane, tmp_path_factory.mktemp("operator")) as made:
        made.operator.start()
        yield made


@pytest.fixture
def world(installation: World) -> Iterator[World]:
    with namespace_of_its_own(installation) as made:
        yield made


@pytest.fixture
def world_before_the_definition(
    control_plane_with_controllers: ControlPlane, tmp_path: Path
) -> Iterator[tuple[World, ControlPlane]]:
    """A cluster with controllers and without our CRD; the operator does not run."""
    with suppress(ApiError):
        control_plane_with_controllers.api.delete(CRD_PATH)
    with installed(control_plane_with_controllers, tmp_path) as made, namespace_of_its_own(made) as own:
        yield own, control_plane_with_controllers


def create_namespace(api: Api, name: str) -> None:
    api.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
