"""Divides a region's replicas among its capacity pools.

Knows the pools. A pool's replicas are those of its Deployment; their sum may exceed the region's, because pods that
wait for a node are covered in another pool. Does not know how many replicas the region needs (scaling.py).
"""

from dataclasses import dataclass

from voxfleet_operator.names import POOL_ON_DEMAND, POOL_SPOT
from voxfleet_operator.resources import VoxTTSDeploymentSpec


@dataclass(frozen=True, slots=True)
class PoolReplicas:
    """Replicas of each pool's Deployment."""

    on_demand: int = 0
    spot: int = 0

    def of(self, pool: str) -> int:
        """Return the replicas of one pool, by its name."""
        return {POOL_ON_DEMAND: self.on_demand, POOL_SPOT: self.spot}[pool]


def pools_of(_spec: VoxTTSDeploymentSpec) -> tuple[str, ...]:
    """Return the pools that have a Deployment in each region: on demand alone, because spot is not available yet."""
    return (POOL_ON_DEMAND,)


def divide(replicas: int) -> PoolReplicas:
    """Return the replicas of each pool: all on demand, because spot is not available yet (features.py)."""
    return PoolReplicas(on_demand=replicas)
