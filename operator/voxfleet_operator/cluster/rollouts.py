"""Limits how many Deployments of this installation roll at a time for a change that is the operator's own.

Knows which rollouts run: those that it admitted, and those that ran when the process started. A Deployment that waits
is applied with the template that it has. Does not know why a template changes (manifests/templates.py).
"""

from dataclasses import dataclass, field

import structlog

from voxfleet_operator.cluster.api import Body, KubernetesApi
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.observed import PodState, WorkloadState
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.manifests.templates import awaits_rollout, with_template

# A broken image of a new release reaches this many Deployments, and each needs no more than one spare GPU.
ROLLOUTS_AT_ONCE = 2

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RolloutLimiter:
    """Admits rollouts; `kept`: the templates in use of Deployments whose rollout waits."""

    api: KubernetesApi
    store: Store
    running: set[ObjectRef] | None = None
    kept: dict[ObjectRef, Body] = field(default_factory=dict)

    async def admitted(self, manifest: Manifest, generation: int) -> Manifest:
        """Return the manifest to apply: with the template in use while its rollout waits. Raises KubernetesError."""
        ref = manifest.ref
        workload = self.store.state(ref, WorkloadState)
        if workload is None or not awaits_rollout(workload, manifest, generation) or self._may_start(ref):
            self.kept.pop(ref, None)
            return manifest
        if ref not in self.kept:
            log.info("rollout waits for others", deployment=ref.name, namespace=ref.namespace)
            self.kept[ref] = (await self.api.get(ref.path))["spec"]["template"]
        return with_template(manifest, self.kept[ref])

    def forget_deleted(self) -> None:
        """Drop the templates of Deployments that are gone."""
        self.kept = {ref: template for ref, template in self.kept.items() if ref in self.store.states}

    def _may_start(self, ref: ObjectRef) -> bool:
        if self.running is None:
            self.running = {each for each in self.store.states if each.kind == "Deployment" and self._is_mixed(each)}
        self.running = {each for each in self.running if not self._is_finished(each)}
        if len(self.running) >= ROLLOUTS_AT_ONCE:
            return False
        self.running.add(ref)
        return True

    def _is_mixed(self, ref: ObjectRef) -> bool:
        workload = self.store.state(ref, WorkloadState)
        return workload is not None and any(pod.template != workload.template for pod in self._pods(ref))

    def _is_finished(self, ref: ObjectRef) -> bool:
        """Whether it needs no place any more: all pods have the newest template, and one is ready or none has a node.

        Pods without a node may be a probe for spot nodes, which waits for hours and restarts nothing.
        """
        workload, pods = self.store.state(ref, WorkloadState), self._pods(ref)
        is_gone = workload is None or workload.replicas == 0
        has_no_node = bool(pods) and all(pod.scheduled_at is None and not pod.is_ready for pod in pods)
        is_decided = has_no_node or any(pod.is_ready for pod in pods)
        return is_gone or (not self._is_mixed(ref) and is_decided)

    def _pods(self, ref: ObjectRef) -> list[PodState]:
        return [pod for pod in self.store.pods_of_deployment(ref) if pod.is_active]
