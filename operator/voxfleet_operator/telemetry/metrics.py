"""The operator's metrics: names, labels, meanings, and how status and wakes become values.

Knows prometheus-client. Does not know when events happen, or how metrics are served (ports.py).
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily

from voxfleet_operator.decisions.cost.spending import Spending
from voxfleet_operator.decisions.demand.wake_timing import PHASES, phases
from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT
from voxfleet_operator.resources import Key, Resource, VoxTTSDeploymentStatus

# A reconcile without a request takes some milliseconds; one with many waits up to the request timeout of 10 s.
REGION = ("namespace", "name", "region")
# As the gateway's: from a tiny model on a CPU to a node that is created and pulls its image.
WAKE_BUCKETS = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 90, 120, 300, 600)
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The operator's metrics; docs/operator-metrics.md is made from them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "voxfleet_operator_reconciles",
            "Reconciles, by result: ok, error or broken (an exception that is a mistake).",
            ["result"],
            registry=self.registry,
        )
        self.reconcile_seconds = Histogram(
            "voxfleet_operator_reconcile_seconds",
            "Duration of a reconcile.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.workqueue_depth = Gauge(
            "voxfleet_operator_workqueue_depth", "Resources in the work queue.", registry=self.registry
        )
        self.api_calls = Counter(
            "voxfleet_operator_api_calls",
            "Requests to the API server without watches; code 0: no response, 429: throttled.",
            ["method", "code"],
            registry=self.registry,
        )
        self.remote_api_calls = Counter(
            "voxfleet_operator_remote_api_calls",
            "Requests to remote regions' API servers without watches, as those of "
            "voxfleet_operator_api_calls_total; cluster is the server's URL.",
            ["cluster", "method", "code"],
            registry=self.registry,
        )
        self.remote_cluster_up = Gauge(
            "voxfleet_operator_remote_cluster_up",
            "1: the cluster of a remote region is connected, 0: it is away.",
            ["cluster"],
            registry=self.registry,
        )
        self._add_work_metrics()
        self._add_cost_metrics()

    def _add_work_metrics(self) -> None:
        registry = self.registry
        self.reconcile_errors = Counter(
            "voxfleet_operator_reconcile_errors",
            "Failed reconciles, by reason: unreachable, unauthorized, forbidden, not_found, conflict, invalid, "
            "throttled, rejected (another 4xx), server_error, name_taken, unexpected (the broken ones).",
            ["reason"],
            registry=registry,
        )
        self.workqueue_oldest_seconds = Gauge(
            "voxfleet_operator_workqueue_oldest_seconds",
            "For how long the oldest resource in the work queue is queued.",
            registry=registry,
        )
        self.reclaims = Counter(
            "voxfleet_operator_reclaims",
            "Reclaims of spot nodes with servers; several nodes of a region at the same instant count once.",
            registry=registry,
        )
        self.wake_seconds = Histogram(
            "voxfleet_operator_wake_seconds",
            "From a request to the first ready server, once per wake.",
            buckets=WAKE_BUCKETS,
            registry=registry,
        )
        self.wake_phase_seconds = Histogram(
            "voxfleet_operator_wake_phase_seconds",
            "Parts of a wake, once its server has reported: node, container, image, process, weights, warm_up, "
            "readiness, other.",
            ["phase"],
            buckets=WAKE_BUCKETS,
            registry=registry,
        )
        for phase in PHASES:  # for Prometheus, a series whose first value is 1 has not risen
            self.wake_phase_seconds.labels(phase)

    def _add_cost_metrics(self) -> None:
        registry = self.registry
        self.gpu_seconds = Counter(
            "voxfleet_operator_gpu_seconds",
            "GPU seconds used: from a pod's node until its containers have ended (docs/costs.md).",
            [*REGION, "pool"],
            registry=registry,
        )
        self.gpu_cost = Counter(
            "voxfleet_operator_gpu_cost",
            "Price of the GPU seconds used, in the unit of `pricePerGpuHour`; pools without a price add nothing.",
            [*REGION, "pool"],
            registry=registry,
        )
        self.avoided_gpu_seconds = Counter(
            "voxfleet_operator_avoided_gpu_seconds",
            "GPU seconds that constant replicas at the month's peak would have used while the region slept; a new "
            "peak adds the earlier part of its month at once.",
            REGION,
            registry=registry,
        )
        self.avoided_gpu_cost = Counter(
            "voxfleet_operator_avoided_gpu_cost",
            "Price on demand of the GPU seconds avoided.",
            REGION,
            registry=registry,
        )

    def count_remote_call(self, cluster: str, method: str, status: int) -> None:
        """Count a request to the API server of a remote region."""
        self.remote_api_calls.labels(cluster, method, str(status)).inc()

    def refresh_clusters(self, up: Mapping[str, bool]) -> None:
        """Set which remote clusters are connected, by server, and drop those that are no longer used."""
        self.remote_cluster_up.clear()
        for server, is_up in up.items():
            self.remote_cluster_up.labels(server).set(is_up)

    def count_spending(self, key: Key, spending: Mapping[str, Spending]) -> None:
        """Count what a resource's regions have used and avoided."""
        for region, spent in spending.items():
            labels = (key.namespace, key.name, region)
            self.gpu_seconds.labels(*labels, POOL_ON_DEMAND).inc(max(0.0, spent.on_demand_seconds))
            self.gpu_seconds.labels(*labels, POOL_SPOT).inc(max(0.0, spent.spot_seconds))
            self.gpu_cost.labels(*labels, POOL_ON_DEMAND).inc(max(0.0, spent.on_demand_paid))
            self.gpu_cost.labels(*labels, POOL_SPOT).inc(max(0.0, spent.spot_paid))
            self.avoided_gpu_seconds.labels(*labels).inc(max(0.0, spent.avoided_seconds))
            self.avoided_gpu_cost.labels(*labels).inc(max(0.0, spent.avoided_cost))

    def forget_spending(self, key: Key) -> None:
        """Drop the series of a deleted resource."""
        for counter in (self.gpu_seconds, self.gpu_cost, self.avoided_gpu_seconds, self.avoided_gpu_cost):
            counter.remove_by_labels({"namespace": key.namespace, "name": key.name})

    def observe(
        self,
        resources: Callable[[], Collection[Resource]],
        workqueue_depth: Callable[[], float],
        workqueue_oldest_seconds: Callable[[], float],
    ) -> None:
        """Call these at each scrape for what they measure then."""
        self.workqueue_depth.set_function(workqueue_depth)
        self.workqueue_oldest_seconds.set_function(workqueue_oldest_seconds)
        self.registry.register(ResourceCollector(resources))

    def observe_wakes(self, before: VoxTTSDeploymentStatus, after: VoxTTSDeploymentStatus) -> None:
        """Observe each wake that a written status reports first, and its parts when it first has them."""
        earlier = {region.name: region.last_wake for region in before.regions}
        for region in after.regions:
            wake, known = region.last_wake, earlier.get(region.name)
            if wake is None or wake.total_seconds is None:
                continue
            is_new = known is None or known.started_at != wake.started_at
            if is_new:
                self.wake_seconds.observe(float(wake.total_seconds))
            if is_new or known is None or not phases(known):
                for phase, seconds in phases(wake).items():
                    self.wake_phase_seconds.labels(phase).observe(seconds)


class ResourceCollector:
    """Gauges that are read off the status of all resources when they are scraped.

    Families, not Gauge objects: 1,000 resources of three regions have 20,000 samples, whose labels a Gauge would
    validate and lock one by one, and it would keep those of deleted resources.
    """

    def __init__(self, resources: Callable[[], Collection[Resource]]) -> None:
        self._resources = resources

    def collect(self) -> Iterator[Metric]:
        """Yield the families, as prometheus-client's registry asks for them."""
        resources = self._resources()
        yield GaugeMetricFamily(
            "voxfleet_operator_resources", "VoxTTSDeployments in the cluster.", value=len(resources)
        )
        yield _condition_family(resources)
        yield from _region_families(resources)


def _condition_family(resources: Collection[Resource]) -> Metric:
    family = GaugeMetricFamily(
        "voxfleet_operator_condition",
        "1 for the status and reason (docs/conditions.md#reasons) that a condition has; no series for others.",
        labels=["namespace", "name", "type", "status", "reason"],
    )
    for resource in resources:
        for each in resource.status.conditions:
            family.add_metric([*_key(resource), each.type, each.status, each.reason], 1)
    return family


def _region_families(resources: Collection[Resource]) -> tuple[Metric, Metric, Metric]:
    phase = GaugeMetricFamily(
        "voxfleet_operator_region_phase",
        "1 for the region's phase (docs/conditions.md#phases-of-a-region); no series for the others.",
        labels=[*REGION, "phase"],
    )
    desired = GaugeMetricFamily("voxfleet_operator_desired_replicas", "Replicas that shall serve.", labels=REGION)
    ready = GaugeMetricFamily(
        "voxfleet_operator_ready_replicas", "Ready servers, by pool: ondemand, spot.", labels=[*REGION, "pool"]
    )
    for resource in resources:
        for region in resource.status.regions:
            labels = [*_key(resource), region.name]
            phase.add_metric([*labels, region.phase.value], 1)
            desired.add_metric(labels, region.desired_replicas)
            ready.add_metric([*labels, POOL_SPOT], region.spot_replicas)
            ready.add_metric([*labels, POOL_ON_DEMAND], region.ready_replicas - region.spot_replicas)
    return phase, desired, ready


def _key(resource: Resource) -> tuple[str, str]:
    return resource.key.namespace, resource.key.name
