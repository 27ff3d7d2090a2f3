"""The spot scenario on the terminal: what happens to the nodes, what each costs, and what was saved.

Runs the steps of steps.py in order and prints what each one shows. Knows the order and the words. Does not know how the
nodes are made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.table import Table
from voxfleet_testbed.cluster.karpenter import ON_DEMAND, SPOT
from voxfleet_testbed.errors import ApiError

from voxfleet_demo.output import DemoOutput
from voxfleet_demo.scenario import ScenarioError
from voxfleet_demo.spot import steps
from voxfleet_demo.spot.costs import Bill, saved_ratio
from voxfleet_demo.spot.environment import MACHINES, REGION, SMALL, SpotEnvironment, example

NAME = "narrator"
REPLICAS = 3
STREAM_SECONDS = 40.0
SAMPLE_SECONDS = 1.0
STATUS_SECONDS = 60.0
INTRODUCTION = (
    "Real: API server, scheduler, VoxFleet's operator, Karpenter. Simulated: machines, kubelets, speech servers.\n"
    "The resource is examples/spot.yaml with short times: {region}, at most 4 replicas, capacity.spot Preferred."
)


@dataclass(slots=True)
class Meter:
    """Adds the nodes' prices up, once a second, in a thread."""

    environment: SpotEnvironment
    bill: Bill = field(default_factory=Bill)

    @contextmanager
    def running(self) -> Iterator[Bill]:
        """Measure for as long as the block runs."""
        ended = threading.Event()
        thread = threading.Thread(target=self._measure, args=(ended,), daemon=True)
        thread.start()
        try:
            yield self.bill
        finally:
            ended.set()
            thread.join()

    def _measure(self, ended: threading.Event) -> None:
        before = time.monotonic()
        while not ended.wait(SAMPLE_SECONDS):
            try:
                nodes = self.environment.priced_nodes()
            except (ApiError, OSError):
                continue  # the next sample covers this second too
            now = time.monotonic()
            self.bill.add(nodes, now - before)
            before = now


@dataclass(frozen=True, slots=True)
class SpotRunner:
    """Runs the scenario on one environment and prints it."""

    output: DemoOutput
    environment: SpotEnvironment

    def run(self) -> Bill:
        """Run all steps; returns the bill.

        Raises:
            ScenarioError: a step missed its deadline, or a stream was cut.
        """
        self.output.print(INTRODUCTION.format(region=REGION))
        with Meter(self.environment).running() as bill:
            self.environment.apply(example(NAME))
            self._wake()
            self._reclaim()
            self._sleep()
            self._fall_back()
            self._sleep()
        self.output.console.print(bill_table(bill))
        return bill

    def _wake(self) -> None:
        with self.output.step(f"requests for {REPLICAS} replicas wait: Karpenter buys {REPLICAS} spot nodes"):
            seconds = steps.wake(self.environment, NAME, REPLICAS, SPOT)
        self._show(f"{REPLICAS} replicas serve after {seconds:.0f} s")

    def _reclaim(self) -> None:
        with self.output.step("the cloud takes a node back while its pod speaks"):
            reclaimed = steps.reclaim_speaking(self.environment, STREAM_SECONDS)
            seconds = steps.replaced(self.environment, reclaimed, REPLICAS)
            reclaimed.stream.join(STREAM_SECONDS * 5)
        if not reclaimed.stream.is_complete:
            raise ScenarioError(f"the stream on the reclaimed node was cut: {reclaimed.stream.error}")
        self._show(
            f"{reclaimed.node.machine} {reclaimed.node.name[-8:]} is replaced after {seconds:.0f} s; all"
            f" {STREAM_SECONDS:.0f} s of the audio that it was sending arrived"
        )

    def _fall_back(self) -> None:
        replicas = REPLICAS - 1
        with (
            self.output.step("no spot node is to be had: on demand serves instead"),
            steps.without_spot(self.environment),
        ):
            seconds = steps.wake(self.environment, NAME, replicas, ON_DEMAND)
            self._show(f"{replicas} replicas serve after {seconds:.0f} s, at three times the price")
        with self.output.step("spot is back: one replica after the other is handed over"):
            seconds, fewest = steps.back_to_spot(self.environment, replicas)
        self._show(f"after {seconds:.0f} s all serve on spot; never fewer than {fewest} served")

    def _sleep(self) -> None:
        with self.output.step("no more requests: the region falls asleep"):
            seconds = steps.fall_asleep(self.environment, NAME)
        self.output.print(f"  after {seconds:.0f} s no pod runs and every node is given back\n")

    def _show(self, text: str) -> None:
        self.output.print(f"  {text}")
        self.output.console.print(self._node_table())
        # The operator writes a status at most once in ten seconds while the phase stays.
        self.environment.until(
            lambda: self.environment.region_status(NAME).get("readyReplicas") == len(self.environment.serving_pods()),
            "the status counts the pods that serve",
            STATUS_SECONDS,
        )
        message = self.environment.region_status(NAME).get("message", "")
        self.output.print(f"  kubectl describe vtts {NAME}: {message}\n" if message else "")

    def _node_table(self) -> Table:
        table = Table("node", "machine", "kind", "$/h", "pods that serve")
        serving = [pod.node for pod in self.environment.serving_pods()]
        for node in sorted(self.environment.cluster.nodes(), key=lambda node: (node.capacity_type, node.name)):
            cells = (
                node.name[-8:],
                node.machine,
                node.capacity_type,
                f"{node.price:.2f}",
                str(serving.count(node.name)),
            )
            table.add_row(*cells, style="green" if node.capacity_type == SPOT else "yellow")
        return table


def bill_table(bill: Bill) -> Table:
    """Return what was paid beside what two other ways would have cost."""
    price = next(machine.prices for machine in MACHINES if machine.name == SMALL)[REGION, ON_DEMAND]
    always = bill.always_on(REPLICAS, price)
    spot, on_demand = bill.seconds.get(SPOT, 0.0), bill.seconds.get(ON_DEMAND, 0.0)
    table = Table("", "dollars", "saved by VoxFleet", title=f"{bill.elapsed_seconds / 60:.1f} minutes")
    table.add_row(f"paid: {spot:.0f} node seconds on spot, {on_demand:.0f} on demand", f"{bill.paid:.4f}", "")
    table.add_row(
        "the same nodes, all on demand", f"{bill.on_demand:.4f}", f"{saved_ratio(bill.paid, bill.on_demand):.0%}"
    )
    table.add_row(
        f"{REPLICAS} on-demand nodes that never sleep", f"{always:.4f}", f"{saved_ratio(bill.paid, always):.0%}"
    )
    return table
