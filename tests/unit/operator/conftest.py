"""An in-memory API server behind the real client's interface, and the reconcile loop on top of it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from voxfleet_operator import names
from voxfleet_operator.cluster.api import CONFLICT, NOT_FOUND, ConflictError, KubernetesApi, NotFoundError
from voxfleet_operator.cluster.cluster import Cluster
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.resource_index import ResourceIndex
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.demand.load import GatewayLoad, Reading, Readings
from voxfleet_operator.decisions.remote.peer_domains import AllowedPeers
from voxfleet_operator.decisions.timestamps import to_micro_time, to_rfc3339
from voxfleet_operator.kinds import NOTEBOOK_INGRESS, NOTEBOOK_POLICY, ObjectRef, Watch, resource_path
from voxfleet_operator.manifests import Installation
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.reconcile import Reconciler
from voxfleet_operator.resources import KIND, Condition, Key, read_resource
from voxfleet_operator.status import conditions
from voxfleet_operator.status.reasons import REASONS
from voxfleet_operator.telemetry import Metrics
from voxfleet_operator.work_queue import WorkQueue
from voxfleet_operator.worker import Worker

Body = dict[str, Any]

NARRATOR = Key("default", "narrator")
NOW = 1_795_000_000.0
POD_ADDRESS = "10.9.9.9"


@pytest.fixture(autouse=True)
def _every_reason_has_a_row_for_its_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/conditions.md is made from the rows: what no row allows fails the test that comes upon it."""
    build = conditions._condition

    def checked(state: conditions.ConditionState, *more: Any) -> Condition:
        assert state.type in REASONS[state.reason].conditions, f"{state.reason} of {state.type}: see status/reasons.py"
        return build(state, *more)

    monkeypatch.setattr(conditions, "_condition", checked)


class FakeApi(KubernetesApi):
    """Objects in a dict; applies, merge patches, conflicts and missing objects as the API server answers them.

    `requests` records (method, path). `failing` maps a path to the error that every write to it raises. `on_event`
    gets every object that changed, as a watch would deliver it, and None for its body when it was deleted.
    """

    def __init__(self) -> None:  # without a client: nothing leaves this process
        self.objects: dict[str, Body] = {}
        self.applied: dict[str, Body] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: dict[str, Exception] = {}
        self.dry_runs: list[Body] = []
        self.serves_image_volumes = False
        self.on_event: Callable[[str, Body, bool], None] = lambda _path, _body, _is_deleted: None
        self.version = 100

    @property
    def writes(self) -> list[str]:
        return [path for method, path in self.requests if method != "GET"]

    async def get(self, path: str) -> Body:
        self.requests.append(("GET", path))
        collection, _, selector = path.partition("?labelSelector=")
        if selector and path not in self.objects:  # a test may have put the answer to this very request there
            return self._listed(collection, unquote(selector))
        return copy.deepcopy(self._existing(path))

    def _listed(self, collection: str, selector: str) -> Body:
        """Objects of a collection in one namespace with all labels of an equality selector."""
        wanted = dict(each.split("=") for each in selector.split(","))
        found = [body for path, body in self.objects.items() if path.rpartition("/")[0] == collection]
        return {
            "items": [copy.deepcopy(b) for b in found if wanted.items() <= (b["metadata"].get("labels") or {}).items()]
        }

    async def apply(self, path: str, body: Body) -> Body:
        self._write("APPLY", path)
        if path.endswith("/status"):
            return self.put(path.removesuffix("/status"), lambda found: found.update(status=body["status"]))
        if path not in self.objects:
            self.objects[path] = {"metadata": {"uid": f"uid of {path}", "resourceVersion": "0"}}
        before, self.applied[path] = self.applied.get(path, {}), copy.deepcopy(body)
        return self.put(path, lambda found: _apply(found, before, body))

    async def dry_run(self, path: str, body: Body) -> Body | None:
        assert path.endswith(body["metadata"]["name"])
        self.dry_runs.append(body)
        return body if self.serves_image_volumes else None

    async def merge(self, path: str, body: Body) -> Body:
        self._write("PATCH", path)
        found = self._existing(path)
        if body["metadata"].get("resourceVersion") not in {None, found["metadata"]["resourceVersion"]}:
            raise ConflictError(CONFLICT, f"{path} has changed")
        patch = {**body, "metadata": {**body["metadata"]}}
        patch["metadata"].pop("resourceVersion", None)
        return self.put(path, lambda found: _merge(found, patch))

    async def delete(self, path: str, preconditions: dict[str, str] | None = None) -> None:
        self._write("DELETE", path)
        metadata = self.objects.get(path, {"metadata": {}})["metadata"]
        if preconditions and any(metadata.get(key, value) != value for key, value in preconditions.items()):
            raise ConflictError(CONFLICT, f"{path} has changed")
        self.remove(path)

    def put(self, path: str, change: Callable[[Body], Any]) -> Body:
        """Change an object, as any client could; a write without effect keeps the version and causes no event."""
        found = self.objects[path]
        before = copy.deepcopy(found)
        change(found)
        if found != before:
            self.version += 1
            found["metadata"]["resourceVersion"] = str(self.version)
            self.on_event(path, copy.deepcopy(found), False)
        return copy.deepcopy(found)

    def remove(self, path: str) -> None:
        found = self.objects.pop(path, None)
        self.applied.pop(path, None)
        if found is not None:
            self.on_event(path, found, True)

    def _write(self, method: str, path: str) -> None:
        self.requests.append((method, path))
        if path in self.failing:
            raise self.failing[path]

    def _existing(self, path: str) -> Body:
        if path not in self.objects:
            raise NotFoundError(NOT_FOUND, f"{path} not found")
        return self.objects[path]


def _apply(found: Body, before: Body, after: Body) -> None:
    """Server-side apply: fields that this manager applied before and leaves out now are removed."""
    for key in before.keys() - after.keys():
        found.pop(key, None)
    for key, value in after.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            _apply(found[key], before.get(key) or {}, value)
        else:
            found[key] = copy.deepcopy(value)


def _merge(found: Body, patch: Body) -> None:
    """RFC 7386: null removes a key."""
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            _merge(found.setdefault(key, {}), value)
        else:
            found[key] = value


@dataclass
class Loop:
    """The operator without processes and sockets: every change is delivered to the store at once."""

    api: FakeApi = field(default_factory=FakeApi)
    now: float = NOW

    def __post_init__(self) -> None:
        def clock() -> float:
            return self.now

        self.queue: WorkQueue[Key] = WorkQueue(clock, jitter=lambda: 1.0)
        self.index = ResourceIndex(self.queue.add)
        self.store = Store(self.queue.add, self.queue.add_first, 9091, clock)
        self.observer = Observer(self.store, "demand")
        installation = Installation(
            "system",
            "demand",
            "gateway.system.svc",
            PodSettings("image", "Always", "key"),
            allowed_peers=AllowedPeers(("example.com",)),
        )
        self.drained: list[tuple[Key, str, bool]] = []
        drainer = SimpleNamespace(drain=self._drain)
        self.cluster = Cluster(self.api, self.store, self.observer, "system", drainer, clock)
        self.reconciler = Reconciler(self.cluster, self.index, installation, clock)
        self.metrics = Metrics()
        self.reconciler.costs.monotonic = clock
        self.reconciler.costs.on_spending = self.metrics.count_spending
        self.reconciler.costs.on_forget = self.metrics.forget_spending
        self.observer.on_reclaim = self.metrics.reclaims.inc
        self.reconciler.on_status = self.metrics.observe_wakes
        self.worker = Worker(self.queue, self.reconciler, self.metrics)
        self.api.on_event = self._deliver

    async def _drain(self, key: Key, address: str, *, is_on: bool) -> None:
        self.drained.append((key, address, is_on))

    def restart(self, installation: Installation) -> None:
        """Start the operator again, with other settings: it lists everything anew."""
        self.__post_init__()
        self.reconciler.installation = installation
        for path, body in list(self.api.objects.items()):
            if "kind" in body:  # not a listing of what is only looked up
                self._deliver(path, copy.deepcopy(body), False)

    def _deliver(self, path: str, body: Body, is_deleted: bool) -> None:  # noqa: FBT001 - as FakeApi calls it
        kind = body.get("kind", "")
        if kind == "Event":  # of a VoxTTSDeployment: those of pods and nodes alone are watched
            return
        if kind == KIND:
            if is_deleted:
                self.index.remove(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
            else:
                self.index.put(read_resource(body))
            return
        if body["metadata"].get("labels", {}).get(names.LABEL_COMPONENT) == names.NOTEBOOK:
            # As the selectors of two watches divide them.
            kind = {"Ingress": NOTEBOOK_INGRESS, "NetworkPolicy": NOTEBOOK_POLICY}.get(kind, kind)
        assert ObjectRef(kind, body["metadata"]["namespace"], body["metadata"]["name"]).path == path
        (self.store.on_delete if is_deleted else self.store.on_change)(Watch(kind, "label"), body)

    def create(self, *regions: str, annotations: dict[str, str] | None = None, **spec: Any) -> Key:
        """Create the resource `narrator` as a user would."""
        metadata = {"namespace": "default", "name": "narrator", "uid": "u1", "generation": 1, "resourceVersion": "0"}
        metadata |= {"creationTimestamp": to_rfc3339(self.now), "annotations": annotations or {}}
        body = {"kind": KIND, "metadata": metadata}
        self.api.objects[resource_path(NARRATOR)] = body
        given = {"regions": [{"name": name} for name in regions or ("eu",)], **spec}
        self.api.put(resource_path(NARRATOR), lambda found: found.update(spec=given))
        return NARRATOR

    def change_spec(self, **fields: Any) -> None:
        def change(found: Body) -> None:
            found["spec"] = {**found["spec"], **fields}
            found["metadata"]["generation"] += 1

        self.api.put(resource_path(NARRATOR), change)

    async def reconcile(self) -> float | None:
        return await self.reconciler.reconcile(NARRATOR)

    async def writes_of(self, reconciles: int = 1) -> list[str]:
        """Reconcile, and return the paths of the writes that it sent."""
        self.api.requests.clear()
        for _ in range(reconciles):
            await self.reconcile()
        return self.api.writes

    def ref(self, kind: str, region: str = "eu", pool: str = names.POOL_ON_DEMAND) -> ObjectRef:
        names_of = {
            "Deployment": ("default", names.workload_name("narrator", region, pool)),
            "Lease": ("demand", names.lease_name("default", "narrator", region)),
            "Service": ("default", names.regional_name("narrator", region)),
            "ConfigMap": ("system", names.registry_name("default", "narrator")),
        }
        return ObjectRef(kind, *names_of[kind])

    def object(self, kind: str, region: str = "eu", pool: str = names.POOL_ON_DEMAND) -> Body:
        return self.api.objects[self.ref(kind, region, pool).path]

    def replicas(self, region: str = "eu") -> dict[str, int]:
        """Replicas of the Deployments that exist, by pool."""
        found = {pool: self.api.objects.get(self.ref("Deployment", region, pool).path) for pool in names.POOLS}
        return {pool: body["spec"]["replicas"] for pool, body in found.items() if body is not None}

    def renew(self, region: str = "eu") -> None:
        """Renew the Lease as a gateway does."""
        renewal = {"spec": {"renewTime": to_micro_time(self.now), "holderIdentity": "gw-0"}}
        self.api.put(self.ref("Lease", region).path, lambda found: _merge(found, renewal))

    def add_ready_pod(self, name: str = "pod-1", region: str = "eu", pool: str = names.POOL_ON_DEMAND) -> None:
        """Add a pod of the Deployment's present template."""
        self.add_pod(name, region, pool)
        self.set_ready(name)

    def add_pod(self, name: str, region: str = "eu", pool: str = names.POOL_ON_DEMAND) -> None:
        """Add a pod without a node, as a ReplicaSet does, and what the scheduler says of it."""
        labels = names.pool_labels("default", "narrator", region, pool)
        annotations = self.object("Deployment", region, pool)["spec"]["template"]["metadata"]["annotations"]
        metadata = {"namespace": "default", "name": name, "uid": name, "resourceVersion": "0", "labels": labels}
        metadata |= {"annotations": dict(annotations), "creationTimestamp": to_rfc3339(self.now)}
        self.api.objects[ObjectRef("Pod", "default", name).path] = {"kind": "Pod", "metadata": metadata}
        unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        unscheduled |= {"message": "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."}
        self.set_pod_status(name, {"phase": "Pending", "conditions": [unscheduled]})

    def set_ready(self, name: str) -> None:
        conditions = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")]
        self.set_pod_status(name, {"phase": "Running", "podIP": POD_ADDRESS, "conditions": conditions})

    def remove_pod(self, name: str) -> None:
        self.api.remove(ObjectRef("Pod", "default", name).path)

    def set_pod_status(self, name: str, status: Body) -> None:
        """Write a pod's status as a kubelet does."""
        self.api.put(ObjectRef("Pod", "default", name).path, lambda found: found.update(status=status))

    def report_idle(self) -> None:
        """One gateway reports that nothing is open."""
        row = {"namespace": "default", "name": "narrator", "region": "eu", "address": POD_ADDRESS}
        answer = GatewayLoad.model_validate({"gateway": "gw-0", "pods": [{**row, "age_seconds": 0, "load": {}}]})
        self.observer.readings = Readings((Reading("gw-0", self.now, answer),))

    def report_silence(self) -> None:
        """The gateway does not answer, and its last answer is too old."""
        self.observer.readings = Readings((Reading("gw-0", error="connection refused"),))

    def status(self) -> Body:
        found: Body = self.api.objects[resource_path(NARRATOR)].get("status") or {}
        return found

    def condition(self, kind: str) -> tuple[str, str]:
        found = next(item for item in self.status()["conditions"] if item["type"] == kind)
        return found["status"], found["reason"]


@pytest.fixture
def loop() -> Loop:
    return Loop()
