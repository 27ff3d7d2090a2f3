"""Never more than two rollouts of the operator's own at a time, whatever order Deployments come in."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator import names
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.writing.rollouts import ROLLOUTS_AT_ONCE, RolloutLimiter
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests import Manifest

REGIONS = tuple("abcdef")
NOW = 1_795_000_000.0


class OneTemplate:
    """An API server whose Deployments all have one template."""

    async def get(self, _path: str) -> dict[str, Any]:
        return {"spec": {"template": template("old")}}


def template(digest: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {names.ANNOTATION_TEMPLATE: digest}}}


def ref(region: str) -> ObjectRef:
    return ObjectRef("Deployment", "default", names.workload_name("narrator", region, "ondemand"))


def manifest(region: str) -> Manifest:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    spec = {"replicas": 1, "template": template("new"), "strategy": strategy}
    return Manifest(ref(region), {"metadata": {"annotations": {}}, "spec": spec})


class World:
    """Regions with one Deployment and one ready pod each."""

    def __init__(self, *, has_nodes: bool = True) -> None:
        self.version = 0
        self.store = Store(lambda _key: None, lambda _key: None, 9091, clock=lambda: NOW)
        self.limiter = RolloutLimiter(OneTemplate(), self.store)  # type: ignore[arg-type] # only get() is called
        for region in REGIONS:
            self.put("Deployment", region, "old")
            self.put("Pod", region, "old", has_node=has_nodes)

    def put(self, kind: str, region: str, digest: str, *, has_node: bool = True) -> None:
        self.version += 1
        name = ref(region).name if kind == "Deployment" else f"pod-{region}"
        metadata: dict[str, Any] = {"namespace": "default", "name": name, "uid": name}
        metadata |= {"labels": names.pool_labels("default", "narrator", region, "ondemand")}
        metadata |= {"resourceVersion": str(self.version), "annotations": template(digest)["metadata"]["annotations"]}
        spec = {"replicas": 1, "template": template(digest)}
        conditions = [{"type": "PodScheduled", "status": str(has_node)}, {"type": "Ready", "status": str(has_node)}]
        status = {"phase": "Running" if has_node else "Pending", "conditions": conditions}
        self.store.on_applied(kind, {"metadata": metadata, "spec": spec, "status": status})

    async def apply(self, region: str) -> bool:
        """Apply a region's Deployment as a reconcile does; return whether it has the new template."""
        admitted = await self.limiter.admitted(manifest(region), 1)
        digest = admitted.body["spec"]["template"]["metadata"]["annotations"][names.ANNOTATION_TEMPLATE]
        kept = admitted.body["metadata"]["annotations"].get(names.ANNOTATION_GENERATION)
        assert kept in {None, "1"}, "a template that waits for others is not taken for the user's change"
        self.put("Deployment", region, digest)
        return bool(digest == "new")

    def rolling(self) -> set[str]:
        mixed = set()
        for region in REGIONS:
            workload = self.store.states[ref(region)]
            if any(pod.template != workload.template for pod in self.store.pods_of_deployment(ref(region))):  # type: ignore[attr-defined]
                mixed.add(region)
        return mixed


steps = st.lists(st.tuples(st.sampled_from(["apply", "finish"]), st.sampled_from(REGIONS)), max_size=40)


@given(steps)
async def test_property_no_more_than_two_roll_and_all_do_at_last(taken: list[tuple[str, str]]) -> None:
    world = World()
    for step, region in taken:
        if step == "apply":
            await world.apply(region)
        elif region in world.rolling():
            world.put("Pod", region, "new")
        assert len(world.rolling()) <= ROLLOUTS_AT_ONCE
    for _ in REGIONS:
        for region in world.rolling():
            world.put("Pod", region, "new")
        for region in REGIONS:
            await world.apply(region)
    assert all([await world.apply(region) for region in REGIONS])
    assert world.limiter.kept == {}


async def test_rollouts_that_ran_before_the_process_started_count() -> None:
    world = World()
    for region in REGIONS[:2]:
        world.put("Deployment", region, "new")
    assert not await world.apply("c")
    world.put("Pod", "a", "new")
    assert await world.apply("c")


async def test_a_broken_template_stops_at_two_deployments() -> None:
    world = World()
    applied = [await world.apply(region) for region in REGIONS * 3]
    assert sum(applied) == 3 * ROLLOUTS_AT_ONCE
    assert world.rolling() == {"a", "b"}


async def test_a_pod_that_waits_for_a_spot_node_occupies_no_place() -> None:
    """It may wait for hours; the new template has restarted nothing there."""
    world = World(has_nodes=False)
    for region in REGIONS:
        assert await world.apply(region)
        world.put("Pod", region, "new", has_node=False)
