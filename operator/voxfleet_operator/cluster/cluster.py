"""One cluster: its API server's client, what was observed there, and everything that reads or writes there.

Knows how its parts depend on each other. Does not know which regions it serves, nor other clusters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from voxfleet_operator.cluster.api import KubernetesApi
from voxfleet_operator.cluster.lookups.cluster_facts import Lookups
from voxfleet_operator.cluster.observation import Observer
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.cluster.ways_in import WaysInOfCluster
from voxfleet_operator.cluster.writing.action_executor import ActionExecutor, Drainer
from voxfleet_operator.cluster.writing.object_writer import ObjectWriter
from voxfleet_operator.cluster.writing.rollouts import RolloutLimiter


@dataclass(slots=True)
class Cluster:
    """A cluster; watches fill its store, pollers the observer's readings."""

    api: KubernetesApi
    store: Store
    observer: Observer
    system_namespace: str
    drainer: Drainer
    clock: Callable[[], float]
    writer: ObjectWriter = field(init=False)
    rollouts: RolloutLimiter = field(init=False)
    executor: ActionExecutor = field(init=False)
    lookups: Lookups = field(init=False)
    ways_in: WaysInOfCluster = field(init=False)

    def __post_init__(self) -> None:
        self.writer = ObjectWriter(self.api, self.store)
        self.rollouts = RolloutLimiter(self.api, self.store, self.observer.lost_templates)
        self.lookups = Lookups(self.api, self.store, self.system_namespace, self.clock)
        self.ways_in = WaysInOfCluster(self.api, self.store)
        self.executor = ActionExecutor(self.api, self.store, self.observer.demand_namespace, self.drainer)
