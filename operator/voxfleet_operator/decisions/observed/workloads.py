"""Deployments of the capacity pools: replicas, and what is recorded on them.

Knows which writer set the replicas last. Does not know their pods.
"""

from dataclasses import dataclass

from voxfleet_operator.names import POOL_ON_DEMAND
from voxfleet_operator.resources import Failure

HPA_MANAGER = "kube-controller-manager"  # writes the scale subresource for HorizontalPodAutoscalers, KEDA's among them


@dataclass(frozen=True, slots=True)
class AutoscalerRef:
    """A HorizontalPodAutoscaler; `made_by`: kind and name of the object that controls it, empty without one."""

    name: str
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class ForeignScale:
    """A Deployment whose replicas another writer has set, and the writer's field manager.

    `autoscalers`: those that name the Deployment as their target, where they were looked up.
    """

    deployment: str
    replicas: int
    manager: str
    autoscalers: tuple[AutoscalerRef, ...] = ()

    @property
    def is_by_autoscaler(self) -> bool:
        """Whether a HorizontalPodAutoscaler did it."""
        return self.manager == HPA_MANAGER


@dataclass(frozen=True, slots=True)
class WorkloadState:
    """The Deployment of one capacity pool of a region.

    `replicas`: as the operator applied them last, whatever another writer has set since.
    `template`: digest of its pod template; `generation`: of the resource, when the Deployment was applied last;
    `pods_refused`: why the API server refuses its pods (quota, admission), as its condition ReplicaFailure says.
    `proven_template`: digest of the newest one that a pod was ready with; `failure`: of the region's last wake.
    """

    replicas: int
    woken_at: float | None = None
    woken_reason: str = ""
    template: str = ""
    generation: int | None = None
    pods_refused: str = ""
    pool: str = POOL_ON_DEMAND
    weights: str = ""  # key of the fetched weights that its pods read; empty where they fetch or have them themselves
    region_replicas: int | None = None  # those that the region shall have
    scaled: ForeignScale | None = None
    pool_replicas: int | None = None  # those that the pool shall have beside pods that leave
    spot_reclaimed_at: float | None = None  # recorded on the spot pool's
    proven_template: str = ""
    failure: Failure | None = None

    @property
    def staying_replicas(self) -> int:
        """Replicas beside those of pods that leave."""
        return self.replicas if self.pool_replicas is None else self.pool_replicas
