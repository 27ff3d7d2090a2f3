"""What a resource's regions hold now: the rates at which its ledger grows.

Knows when a pod holds a GPU, and which zero replicas are savings: those of a region that sleeps, and neither those of a
suspended one, which is switched off, nor those of a failed one, which can't. Does not know what they add up to.
"""

from voxfleet_operator.decisions.cost.ledger import Rate
from voxfleet_operator.decisions.observed import PodState, RegionState
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan, ResourceState
from voxfleet_operator.names import POOL_SPOT
from voxfleet_operator.resources import Phase, Region, Resource


def rates_of(resource: Resource, observed: ResourceState, plan: ResourcePlan) -> tuple[Rate, ...]:
    """Return the rate of every region that was observed, in the order of the spec; a cluster may be away."""
    gpus_per_pod = resource.spec.gpu.count
    return tuple(
        rate_of(region, observed.regions[region.name], plan.regions[region.name], gpus_per_pod)
        for region in resource.spec.regions
        if region.name in observed.regions
    )


def rate_of(region: Region, observed: RegionState, plan: RegionPlan, gpus_per_pod: int) -> Rate:
    """Return what a region holds now, and what constant replicas would."""
    holding = [pod for pod in observed.unfinished_pods if _holds_gpu(pod)]
    spot = sum(pod.pool == POOL_SPOT for pod in holding)
    price = region.price_per_gpu_hour
    replicas = max(1, observed.autoscaling.min_replicas, plan.replicas)
    return Rate(
        region.name,
        on_demand_gpus=gpus_per_pod * (len(holding) - spot),
        spot_gpus=gpus_per_pod * spot,
        is_asleep=plan.phase == Phase.ASLEEP and not holding,
        baseline_gpus=gpus_per_pod * replicas,
        on_demand_price=_amount(price.on_demand) if price else None,
        spot_price=_amount(price.spot) if price else None,
    )


def _holds_gpu(pod: PodState) -> bool:
    """Whether a node has reserved its GPU; until the containers have ended, also of a pod that is being deleted."""
    return not pod.is_unplaced and not pod.job


def _amount(written: str | None) -> float | None:
    return float(written) if written is not None else None
