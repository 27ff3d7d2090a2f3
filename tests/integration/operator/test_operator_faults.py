"""Faults: the CRD is missing, controllers act too, the API server restarts, a Lease is renewed before the mark."""

import asyncio
import time
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.cluster.api import connect
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.writing.pod_drainer import PodDrainer
from voxfleet_operator.decisions.demand.load import GatewayLoad, Reading, Readings
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.reconcile import Reconciler
from voxfleet_operator.resources import read_resource

# conftest's World and ControlPlane: pytest loads test folders without packages, so they cannot be imported by name.
World = Any
ControlPlane = Any

SPEC: dict[str, Any] = {
    "model": {"source": "file:///models/tiny"},
    "regions": [{"name": "eu-central"}],
    "gpu": {"count": 0},
    "serving": {"dtype": "float32"},
    "autoscaling": {"idleTimeoutSeconds": 600},
}


def pods_of(world: World) -> list[Any]:
    selector = f"{names.LABEL_DEPLOYMENT}=narrator"
    listed = world.api.get(f"/api/v1/namespaces/{world.namespace}/pods?labelSelector={selector}")
    return [pod for pod in listed["items"] if not pod["metadata"].get("deletionTimestamp")]


def until(is_true: Any, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := is_true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def test_from_no_definition_to_verified_and_through_an_outage(
    world_before_the_definition: tuple[World, ControlPlane], define_kind: Any
) -> None:
    """One long test, because a cluster with controllers is slow to start."""
    world, control_plane = world_before_the_definition
    world.operator.start(until_ready=False)
    until(lambda: "voxfleet-crds" in world.operator.log.read_text())
    assert not world.operator.is_ready(), "not ready before the CRD is served"
    define_kind(world.api)
    world.operator.wait_ready()

    world.apply(SPEC)
    world.settled("Asleep")
    world.renew()
    pod = until(lambda: pods_of(world))[0]["metadata"]
    path = f"/api/v1/namespaces/{world.namespace}/pods/{pod['name']}"
    world.pod_ready(path)
    world.settled("Awake")
    assert until(lambda: world.condition("Verified").get("status") == "True")

    control_plane.restart_api_server()
    world.renew()
    second = {**SPEC, "suspend": True}
    world.apply(second)
    world.settled("Suspended")  # with controllers at work, Draining may be over before it is seen
    assert world.replicas() == 0
    assert pods_of(world) == []

    world.api.delete(world.resource_path())
    until(lambda: not world.exists(world.lease_path()))
    until(lambda: not world.exists(world.deployment_path()))
    until(lambda: not world.exists(world.registry_path()))


def test_a_renewal_between_decision_and_mark_or_zero_keeps_the_region_awake(world: World) -> None:
    """The operator decides on an older Lease; the API server rejects mark and check, as the Lease has changed since."""
    world.apply({**SPEC, "autoscaling": {"idleTimeoutSeconds": 5}})
    world.settled("Asleep")
    world.operator.stop()
    assert asyncio.run(_marked_by_an_old_and_by_a_new_observation(world)) == [False, True]
    assert world.replicas() == 0


def is_marked(world: World) -> bool:
    annotations = world.api.get(world.lease_path())["metadata"].get("annotations") or {}
    return names.ANNOTATION_ASLEEP_SINCE in annotations


async def _marked_by_an_old_and_by_a_new_observation(world: World) -> list[bool]:
    api = await connect(world.operator.environment["VOXFLEET_KUBECONFIG"])
    store = Store(lambda _key: None, lambda _key: None, 9091)
    observer = Observer(store, world.demand_namespace)
    pod_settings = PodSettings("image", "IfNotPresent", "key")
    gateway_host = f"voxfleet-gateway.{world.system_namespace}.svc.cluster.local"
    installation = Installation(world.system_namespace, world.demand_namespace, gateway_host, pod_settings)
    later = 0.0

    def clock() -> float:
        return time.time() + later

    index = ResourceIndex(lambda _key: None)
    cluster = Cluster(api, store, observer, world.system_namespace, PodDrainer("key"), clock)
    reconciler = Reconciler(cluster, index, installation, clock)
    try:
        world.renew()
        store.on_applied("Lease", world.api.get(world.lease_path()))
        store.on_applied("Deployment", world.api.get(world.deployment_path()))
        resource = read_resource(world.api.get(world.resource_path()))
        index.put(resource)
        await reconciler.reconcile(resource.key)
        path = world.pod("pod-1")
        world.pod_ready(path)
        store.on_applied("Pod", world.api.get(path))
        await reconciler.reconcile(resource.key)

        later = 60.0
        observer.readings = idle_readings(world, time.time() + later)
        world.renew()
        await reconciler.reconcile(resource.key)
        marked_by_old = is_marked(world)

        store.on_applied("Lease", world.api.get(world.lease_path()))
        later = 120.0
        observer.readings = idle_readings(world, time.time() + later)
        await reconciler.reconcile(resource.key)
        marked_by_new = is_marked(world)

        later = 180.0
        observer.readings = idle_readings(world, time.time() + later)
        world.renew()
        await reconciler.reconcile(resource.key)
        assert world.replicas() == 1, "the Lease has changed since the mark: nothing is written, not even by a no-op"
        store.on_applied("Lease", world.api.get(world.lease_path()))
        await reconciler.reconcile(resource.key)
        return [marked_by_old, marked_by_new]
    finally:
        await api.close()


def idle_readings(world: World, at: float) -> Readings:
    row = {"namespace": world.namespace, "name": "narrator", "region": "eu-central", "address": "10.9.9.9"}
    answer = GatewayLoad.model_validate({"gateway": "g", "pods": [{**row, "age_seconds": 0, "load": {}}]})
    return Readings((Reading("g", at, answer),))
