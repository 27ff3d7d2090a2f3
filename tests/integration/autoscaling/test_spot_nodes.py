"""The operator beside a real autoscaler: spot first, on demand when there is none, and no stream cut on the way."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from voxfleet_demo.spot import steps
from voxfleet_demo.spot.environment import FLEETS, LARGE, MODEL_REQUESTS, SMALL, SpotEnvironment
from voxfleet_demo.spot.streams import Stream
from voxfleet_testbed.cluster.karpenter import (
    LABEL_CAPACITY_TYPE,
    NODE_CLAIMS,
    NODE_CLASS,
    NODE_CLASSES,
    ON_DEMAND,
    SPOT,
    node_class,
)

pytestmark = pytest.mark.timeout(1800)  # each step has a deadline of its own; the first test may build programs
Applied = Callable[..., AbstractContextManager[str]]
STREAM_SECONDS = 45.0  # longer than a node takes to be replaced


def sums(environment: SpotEnvironment, name: str) -> dict[str, float]:
    """A resource's cost ledger, over the months: a test may run at the end of one."""
    cost = environment.api.get(f"{FLEETS}/{name}")["status"]["cost"]
    found: dict[str, float] = {"held": sum(rate.get("spotGpus", 0) + rate["onDemandGpus"] for rate in cost["rates"])}
    for row in cost["months"]:
        amounts = {key: float(value) for key, value in row.items() if key not in {"month", "region"}}
        found |= {key: found.get(key, 0.0) + value for key, value in amounts.items()}
    return found


def test_a_region_wakes_on_spot_nodes_and_gives_them_back(environment: SpotEnvironment, fleet: Applied) -> None:
    with fleet("wakes") as name:
        assert environment.cluster.claims() == ()
        began = time.time()
        steps.wake(environment, name, 3, SPOT)
        environment.until(
            lambda: environment.region_status(name).get("spotReplicas") == 3, "the status says 3 on spot", 60
        )
        in_use = time.time()
        time.sleep(2)
        nodes = environment.cluster.nodes()
        assert {(node.machine, node.capacity_type) for node in nodes} == {(SMALL, SPOT)}
        idle_from = time.time()
        steps.fall_asleep(environment, name)
        environment.until(lambda: not environment.cluster.nodes(), "every node is gone", 120)
        environment.until(lambda: environment.region_status(name)["phase"] == "Asleep", "the region is asleep", 60)
        environment.until(lambda: sums(environment, name)["held"] == 0, "the ledger says that no GPU is held", 60)
        cost = sums(environment, name)
        assert 3 * (idle_from - in_use) <= cost["spotSeconds"] <= 3 * (time.time() - began), cost
        assert cost["spotPaid"] == pytest.approx(cost["spotSeconds"] * 0.35 / 3600, abs=1e-5)
        assert cost["spotSaved"] == pytest.approx(cost["spotSeconds"] * 0.66 / 3600, abs=1e-5)
        assert ("onDemandSeconds" in cost, cost["baselineGpus"]) == (False, 3)


@contextmanager
def slow_machines(environment: SpotEnvironment, boot_seconds: int) -> Iterator[None]:
    """Let every machine that is ordered in the block take that long until it is a node."""
    path = f"{NODE_CLASSES}/{NODE_CLASS}"
    before = environment.api.get(path)["spec"]["nodeRegistrationDelay"]
    environment.api.apply(path, node_class(boot_seconds))
    try:
        yield
    finally:
        environment.api.apply(path, node_class(int(before.removesuffix("s"))))


def test_a_node_that_boots_for_longer_than_the_fallback_time_is_not_bought_twice(
    environment: SpotEnvironment, fleet: Applied
) -> None:
    bought: dict[str, str] = {}

    def serves_on_spot() -> bool:
        for claim in environment.api.get(NODE_CLAIMS)["items"]:
            bought[claim["metadata"]["name"]] = claim["metadata"].get("labels", {}).get(LABEL_CAPACITY_TYPE, "")
        return environment.serving_on(SPOT) == 2

    with slow_machines(environment, 25), fleet("boots") as name:  # wakeFallbackSeconds is 8
        environment.hold(name, 2 * MODEL_REQUESTS - steps.SPARE_REQUESTS)
        environment.until(serves_on_spot, "2 replicas serve on spot nodes", steps.STEP_SECONDS)
        assert sorted(bought.values()) == [SPOT, SPOT], bought


def test_on_demand_serves_while_there_is_no_spot_and_hands_back(environment: SpotEnvironment, fleet: Applied) -> None:
    with fleet("fallback") as name:
        with steps.without_spot(environment):
            steps.wake(environment, name, 2, ON_DEMAND)
            environment.until(
                lambda: environment.condition(name, "Degraded").get("reason") == "SpotUnavailable",
                "the condition says that spot is missing",
                60,
            )
            assert environment.region_status(name)["spotReplicas"] == 0
        _, fewest = steps.back_to_spot(environment, 2)
        assert fewest == 2, "a replica on demand ended before the one on spot was ready"
        environment.until(
            lambda: environment.region_status(name).get("spotReplicas") == 2, "the status says 2 on spot", 60
        )


def test_a_reclaimed_node_is_replaced_while_its_stream_ends(environment: SpotEnvironment, fleet: Applied) -> None:
    with fleet("reclaim") as name:
        steps.wake(environment, name, 2, SPOT)
        before = {pod.name for pod in environment.serving_pods()}
        reclaimed = steps.reclaim_speaking(environment, STREAM_SECONDS)
        environment.until(
            lambda: {pod.name for pod in environment.inference_pods()} - before, "a replacement is asked for", 120
        )
        assert reclaimed.stream.is_open, "the replacement was asked for only when the stream had ended"
        reclaimed.stream.join(STREAM_SECONDS * 10)
        assert reclaimed.stream.is_complete, reclaimed.stream.error
        steps.replaced(environment, reclaimed, 2)


def test_a_lost_node_is_replaced(environment: SpotEnvironment, fleet: Applied) -> None:
    with fleet("lost") as name:
        steps.wake(environment, name, 2, SPOT)
        pod = environment.serving_pods()[0]
        node = environment.node_of(pod)
        assert node is not None
        environment.cluster.lose(node)
        environment.until(
            lambda: (
                len(environment.serving_pods()) == 2
                and pod.name not in {each.name for each in environment.serving_pods()}
            ),
            "two replicas serve again",
            steps.STEP_SECONDS,
        )


def test_consolidation_leaves_a_pod_that_speaks(environment: SpotEnvironment, fleet: Applied) -> None:
    with (
        steps.pool_of(environment, steps.EXPENSIVE_POOL),
        fleet("consolidated", capacity={"spot": "Never"}) as name,
    ):
        steps.wake(environment, name, 1, ON_DEMAND)
        (pod,) = environment.serving_pods()
        node = environment.node_of(pod)
        assert node is not None
        assert node.machine == LARGE
        stream = Stream(pod.address, STREAM_SECONDS * 20).start()  # until it hangs up
        steps.protect(environment, pod)
        environment.cluster.apply_pool(steps.CHEAPER_POOL)
        steps.refusal_to_disrupt(environment, node)
        assert stream.is_open, stream.error
        assert [each.name for each in environment.serving_pods()] == [pod.name]
        stream.hang_up()
        assert not stream.error
