"""Leaving nodes, two-step shrinking, schedules and foreign scaling, on a real API server.

The servers are real HTTP servers at the pods' addresses; no kubelet and no ReplicaSet controller runs.
"""

import hashlib
import hmac
import http.server
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from voxfleet_operator import names

# conftest's World: pytest loads test folders without packages, so the class cannot be imported by name.
World = Any

INTERNAL_KEY = "a key for tests"
INTERNAL_PORT = 9091
SPEC: dict[str, Any] = {
    "model": {"source": "file:///models/tiny"},
    "regions": [{"name": "eu-central"}],
    "gpu": {"count": 0},
    "serving": {"dtype": "float32"},
    "autoscaling": {"idleTimeoutSeconds": 600, "scaleDownStabilizationSeconds": 0},
    "disruption": {"drainSeconds": 600},
}
MERGE = "application/merge-patch+json"


class Server:
    """An inference server's internal port at its own loopback address: records drains of callers with the token."""

    def __init__(self, namespace: str) -> None:
        self.address = f"127.{10 + os.urandom(1)[0] % 200}.{os.urandom(1)[0]}.{1 + os.urandom(1)[0] % 250}"
        self.drains: list[str] = []
        token = hmac.new(INTERNAL_KEY.encode(), f"pod/{namespace}/narrator".encode(), hashlib.sha256).hexdigest()
        drains = self.drains

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                is_right = self.headers["Authorization"] == f"Bearer {token}" and self.path == "/internal/drain"
                if is_right:
                    drains.append(self.command)
                self.send_response(200 if is_right else 401)
                self.end_headers()

            def do_POST(self) -> None:
                self.answer()

            def do_DELETE(self) -> None:
                self.answer()

            def log_message(self, *_: Any) -> None:
                return

        self.http = http.server.ThreadingHTTPServer((self.address, INTERNAL_PORT), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def serve(world: World) -> Iterator[Callable[[], Server]]:
    made: list[Server] = []

    def start() -> Server:
        made.append(Server(world.namespace))
        return made[-1]

    yield start
    for server in made:
        server.http.shutdown()
        server.http.server_close()


def make_node(world: World) -> str:
    name = f"node-{os.urandom(4).hex()}"
    path = f"/api/v1/nodes/{name}"
    world.api.apply(path, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    world.made.append(path)
    return name


def set_node_spec(world: World, node: str, **spec: Any) -> None:
    world.api.request("PATCH", f"/api/v1/nodes/{node}", {"spec": spec}, MERGE)


def ready_pod(world: World, name: str, node: str, address: str) -> str:
    """A ready pod of the Deployment's present template, on a node."""
    template = world.api.get(world.deployment_path())["spec"]["template"]["metadata"]["annotations"]
    labels = names.pool_labels(world.namespace, "narrator", "eu-central", names.POOL_ON_DEMAND)
    path = f"/api/v1/namespaces/{world.namespace}/pods/{name}"
    metadata = {"name": name, "namespace": world.namespace, "labels": labels, "annotations": template}
    spec = {
        "containers": [{"name": "inference", "image": "none"}],
        "automountServiceAccountToken": False,
        "nodeName": node,
    }
    world.api.apply(path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    world.made.append(path)
    world.pod_ready(path, address)
    return path


def set_loads(world: World, loads: dict[str, tuple[str, int]]) -> None:
    """Report state and open requests of each pod, by address."""
    where = {"namespace": world.namespace, "name": "narrator", "region": "eu-central"}
    pods = [
        {**where, "address": address, "age_seconds": 0.1, "load": {"state": state, "open_requests": count}}
        for address, (state, count) in loads.items()
    ]
    models = [{**where, "open_requests": sum(count for _, count in loads.values())}]
    world.gateway.load = {"gateway": "gw-0", "region": "eu-central", "models": models, "pods": pods}


def unready(world: World, path: str) -> None:
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]
    world.pod_status(path, {"conditions": conditions})


def annotations(world: World, path: str) -> dict[str, str]:
    found: dict[str, str] = world.api.get(path)["metadata"].get("annotations") or {}
    return found


def is_marked(world: World, path: str) -> bool:
    return names.ANNOTATION_RETIRING_SINCE in annotations(world, path)


def woken(world: World, **autoscaling: Any) -> None:
    world.apply({**SPEC, "autoscaling": {**SPEC["autoscaling"], **autoscaling}})
    world.until(lambda: world.exists(world.lease_path()), "the Lease exists")
    world.renew()
    world.until(lambda: world.exists(world.deployment_path()) and world.replicas() > 0, "woken")


def test_the_pod_of_a_reclaimed_node_is_replaced_and_drained_and_taken_back_when_the_node_stays(
    world: World, serve: Callable[[], Server]
) -> None:
    woken(world)
    node, server = make_node(world), serve()
    pod = ready_pod(world, "pod-1", node, server.address)
    set_loads(world, {server.address: ("ready", 1)})
    world.settled("Awake")
    set_node_spec(world, node, taints=[{"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule"}])
    world.until(lambda: world.replicas() == 2, "the replacement is asked for while the pod lives")
    world.until(lambda: "POST" in server.drains, "drained")
    assert is_marked(world, pod)
    assert annotations(world, pod)["karpenter.sh/do-not-disrupt"] == "true", "its request is open"
    unready(world, pod)
    set_loads(world, {server.address: ("draining", 0)})
    world.until(lambda: "karpenter.sh/do-not-disrupt" not in annotations(world, pod), "nothing holds up its node")
    message = f"node {node}: EC2 reclaims the spot instance"
    world.until(lambda: message in world.status()["regions"][0].get("message", ""), "the status says why")

    set_node_spec(world, node, taints=None)
    world.until(lambda: "DELETE" in server.drains, "it serves again")
    world.until(lambda: world.replicas() == 1, "the replacement is not needed")
    world.until(lambda: not is_marked(world, pod), "its mark is taken off")


def test_a_node_that_looks_lost_after_an_outage_of_the_api_server_is_waited_for(
    world: World, control_plane: Any, serve: Callable[[], Server]
) -> None:
    woken(world)
    node, server = make_node(world), serve()
    ready_pod(world, "pod-1", node, server.address)
    set_loads(world, {server.address: ("ready", 1)})
    world.settled("Awake")
    control_plane.restart_api_server()
    # As the node controller does it until the kubelet has reported again.
    set_node_spec(world, node, taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}])
    deadline = time.monotonic() + 12
    while time.monotonic() < deadline:  # the operator lists again within ten seconds
        assert world.replicas() == 1
        time.sleep(0.5)
    set_node_spec(world, node, taints=None)
    set_node_spec(world, node, taints=[{"key": "aws-node-termination-handler/spot-itn", "effect": "NoSchedule"}])
    world.until(lambda: world.replicas() == 2, "what a cloud writes on a node counts at once")


def test_a_pod_is_drained_before_its_deployment_is_lowered(world: World, serve: Callable[[], Server]) -> None:
    woken(world, minReplicas=2)
    node = make_node(world)
    busy, calm = serve(), serve()
    ready_pod(world, "pod-busy", node, busy.address)
    leaves = ready_pod(world, "pod-calm", node, calm.address)
    set_loads(world, {busy.address: ("ready", 3), calm.address: ("ready", 1)})
    world.settled("Awake")
    budget = f"/apis/policy/v1/namespaces/{world.namespace}/poddisruptionbudgets/"
    budget += names.regional_name("narrator", "eu-central")
    world.until(lambda: world.exists(budget), "a disruption budget")
    world.renew()
    world.apply({**SPEC, "autoscaling": {**SPEC["autoscaling"], "minReplicas": 1}})
    world.until(lambda: calm.drains == ["POST"] or len(calm.drains) > 1, "the calmer server is drained")
    assert is_marked(world, leaves)
    assert int(annotations(world, leaves)[names.ANNOTATION_DELETION_COST]) < 0
    unready(world, leaves)
    set_loads(world, {busy.address: ("ready", 3), calm.address: ("draining", 1)})
    world.until_polled(3)
    assert world.replicas() == 2, "a request is open"
    assert busy.drains == []
    set_loads(world, {busy.address: ("ready", 3), calm.address: ("draining", 0)})
    world.until(lambda: world.replicas() == 1, "lowered by one")
    world.until_gone(budget)


def test_a_scaling_by_hand_and_by_an_autoscaler_is_set_back_and_reported_by_the_writers_name(world: World) -> None:
    woken(world)
    scale = f"{world.deployment_path()}/scale"
    for manager, text in (("kubectl", "field manager kubectl"), ("kube-controller-manager", "HorizontalPodAutoscaler")):
        world.api.request("PATCH", f"{scale}?fieldManager={manager}", {"spec": {"replicas": 3}}, MERGE)
        world.until(lambda: world.replicas() == 1, f"{manager}'s replicas are set back")
        world.until(lambda text=text: text in world.condition("Degraded").get("message", ""), f"{manager} is reported")
    assert world.condition("Degraded")["reason"] == "ScaledByOthers"


def test_the_autoscaler_that_scales_a_deployment_is_looked_up_and_named(world: World) -> None:
    woken(world)
    name = world.deployment_path().rpartition("/")[2]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    path = f"/apis/autoscaling/v2/namespaces/{world.namespace}/horizontalpodautoscalers/theirs"
    body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "theirs"}}
    world.api.apply(path, body | {"spec": {"scaleTargetRef": target, "maxReplicas": 5}})
    world.made.append(path)
    scale = f"{world.deployment_path()}/scale?fieldManager=kube-controller-manager"
    world.api.request("PATCH", scale, {"spec": {"replicas": 3}}, MERGE)
    degraded = world.until_condition("Degraded", "ScaledByOthers")
    assert "scaled by HorizontalPodAutoscaler theirs and" in degraded["message"]
    assert degraded["message"].endswith("delete HorizontalPodAutoscaler theirs and set spec.autoscaling")


def test_a_schedule_wakes_its_region_and_a_bad_one_is_a_condition(world: World) -> None:
    now = datetime.now(UTC)
    begun, ends = now - timedelta(minutes=2), now + timedelta(hours=2)
    open_now = {"start": f"{begun:%M %H} * * *", "end": f"{ends:%M %H} * * *", "minReplicas": 2}
    bad = {"start": "0 8 * * *", "end": "0 18 * * *", "timeZone": "Europe/Berlinn", "minReplicas": 1}
    world.apply({**SPEC, "autoscaling": {"schedules": [open_now, bad]}})
    world.until(lambda: world.exists(world.deployment_path()) and world.replicas() == 2, "woken by its schedule")
    message = world.until_condition("Degraded", "ScheduleInvalid")["message"]
    assert "autoscaling.schedules[1].timeZone 'Europe/Berlinn'" in message
    assert "did you mean Europe/Berlin?" in message
