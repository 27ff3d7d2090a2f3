"""Decides which template a Deployment gets: the wanted one, the one in use, or the last one that worked.

Knows which templates worked, by their digests, and when a server may be replaced without a spare one. Surge needs no
decision: the Deployment controller starts a server with the new template before it ends one with the old. Does not
know templates themselves (manifests/templates.py), nor how they are found again (cluster/writing/rollouts.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from voxfleet_operator.decisions.observed import PodState, RegionState, WorkloadState
from voxfleet_operator.names import POOL_SPOT
from voxfleet_operator.resources import Failure

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Fallback:
    """Templates of each pool that failed at a wake, and those that worked before and are used instead."""

    failed: Mapping[str, str] = field(default_factory=dict)
    proven: Mapping[str, str] = field(default_factory=dict)

    def template_for(self, pool: str, wanted: str) -> str:
        """Return the digest of the template to use; a wanted one that has not failed is used."""
        return self.proven.get(pool, wanted) if wanted == self.failed.get(pool) else wanted


NO_FALLBACK = Fallback()


def proven_templates(observed: RegionState) -> dict[str, str]:
    """Return the newest template of each pool that a pod was ready with."""
    proven = dict(observed.proven_templates)
    for workload in observed.workloads:
        ready = sorted(pod.template for pod in observed.ready_pods if pod.pool == workload.pool and pod.template)
        if workload.template in ready:
            proven[workload.pool] = workload.template
        elif ready:
            # During a rollout, of which the new template has not worked yet.
            proven.setdefault(workload.pool, ready[0])
    return proven


def running_templates(observed: RegionState) -> dict[str, str]:
    """Return the template of each pool's Deployment with replicas."""
    return {each.pool: each.template for each in observed.workloads if each.replicas > 0 and each.template}


def fallback(observed: RegionState, failure: Failure | None) -> Fallback:
    """Return the fallback from a failed wake: none where the same template worked before, or none ever did."""
    failed = (failure.templates if failure else None) or {}
    proven = proven_templates(observed)
    is_other = any(pool in proven and proven[pool] != template for pool, template in failed.items())
    return Fallback(failed, proven) if is_other else NO_FALLBACK


def is_in_use(chosen: Fallback, observed: RegionState) -> bool:
    """Whether a Deployment runs with the template that is fallen back to."""
    running = running_templates(observed)
    return any(running.get(pool) == template for pool, template in chosen.proven.items() if pool in chosen.failed)


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """One Deployment of a resource and its active pods."""

    workload: WorkloadState
    pods: tuple[PodState, ...] = ()

    @property
    def ready(self) -> int:
        """Pods that may be sent requests."""
        return sum(pod.is_ready for pod in self.pods)

    @property
    def has_no_node(self) -> bool:
        """Whether there are pods, and none of them has a node."""
        return bool(self.pods) and all(pod.scheduled_at is None and not pod.is_ready for pod in self.pods)

    @property
    def is_rolling(self) -> bool:
        """Whether pods of an older template run, or none of the newest is ready yet.

        A spot pod without a node may wait for days while on-demand ones serve: it rolls nothing.
        """
        if self.workload.replicas == 0:
            return False
        newest = [pod for pod in self.pods if pod.template == self.workload.template]
        if len(newest) < len(self.pods):
            return True
        is_probe = bool(newest) and all(pod.pool == POOL_SPOT and pod.scheduled_at is None for pod in newest)
        return not is_probe and not any(pod.is_ready for pod in newest)


def may_replace(rolled: KeyT, deployments: Mapping[KeyT, DeploymentState]) -> bool:
    """Whether strategy Replace may end a server of one Deployment of a resource before its successor is ready.

    One Deployment at a time, and only while another server of the resource, in any region, serves; ending servers that
    are not ready loses nothing.
    """
    own = deployments[rolled]
    if own.ready == 0:
        return True
    others = {key: each for key, each in deployments.items() if key != rolled}
    if any(each.is_rolling for each in others.values()):
        return False
    return own.ready - 1 + sum(each.ready for each in others.values()) > 0
