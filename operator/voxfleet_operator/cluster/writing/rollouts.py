"""Gives each Deployment's manifest its template: the wanted one, or one that stays or comes back.

decisions/rollouts.py decides which.

Knows which rollouts run: those that it admitted, and those that ran when the process started; and where an older
template is found: in the Deployment, or in the ReplicaSets that its controller keeps. A change that is the operator's
own rolls few Deployments of this installation at a time. Does not know why a template changes (manifests/templates.py).
"""

from dataclasses import dataclass, field
from urllib.parse import quote

import structlog

from voxfleet_operator.cluster.api import Body, KubernetesApi
from voxfleet_operator.cluster.parsing.pods import template_digest
from voxfleet_operator.cluster.store import Store
from voxfleet_operator.decisions.observed import WorkloadState
from voxfleet_operator.decisions.rollouts import NO_FALLBACK, DeploymentState, Fallback, may_replace
from voxfleet_operator.kinds import ObjectRef
from voxfleet_operator.manifests import Manifest
from voxfleet_operator.manifests.templates import (
    ends_servers_first,
    is_operators_own,
    restarts_pods,
    with_template,
)

# A broken image of a new release reaches this many Deployments, and each needs no more than one spare GPU.
ROLLOUTS_AT_ONCE = 2
LABEL_TEMPLATE_HASH = "pod-template-hash"  # added by the Deployment controller to what it copies

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RolloutLimiter:
    """Chooses templates.

    `kept`: older templates in use, by Deployment; `waiting`: Deployments whose only server must not end yet.
    """

    api: KubernetesApi
    store: Store
    lost: set[str] = field(default_factory=set)  # digests of templates that are not found
    running: set[ObjectRef] | None = None
    kept: dict[ObjectRef, Body] = field(default_factory=dict)
    waiting: set[ObjectRef] = field(default_factory=set)

    async def admitted(
        self, manifest: Manifest, generation: int, chosen: Fallback = NO_FALLBACK, *, keeps: bool = False
    ) -> Manifest:
        """Return the manifest to apply, with the template that the Deployment gets now. Raises KubernetesError.

        `keeps`: the one in use stays, because it reads weights that are there, and the wanted one would not.
        """
        ref = manifest.ref
        workload = self.store.state(ref, WorkloadState)
        self.waiting.discard(ref)
        if manifest.kind != "Deployment" or workload is None:
            return manifest
        if keeps:
            return await self._with_present_template(manifest, workload, generation)
        wanted = template_digest(manifest.body["spec"]["template"])
        proven = chosen.template_for(workload.pool, wanted)
        if proven != wanted:
            template = await self._template(manifest, proven)
            return with_template(manifest, template, generation=None) if template else manifest
        if not restarts_pods(workload, manifest) or self._may_roll(ref, workload, manifest, generation):
            self.kept.pop(ref, None)
            return manifest
        return await self._with_present_template(manifest, workload, generation)

    def forget_deleted(self) -> None:
        """Drop the templates of Deployments that are gone."""
        self.kept = {ref: template for ref, template in self.kept.items() if ref in self.store.states}
        self.waiting = {ref for ref in self.waiting if ref in self.store.states}

    def _may_roll(self, ref: ObjectRef, workload: WorkloadState, manifest: Manifest, generation: int) -> bool:
        """Whether running pods may be replaced now."""
        if ends_servers_first(manifest) and not may_replace(ref, self._deployments_beside(ref)):
            self.waiting.add(ref)
            return False
        if not is_operators_own(workload, generation) or self._may_start(ref):
            return True
        if ref not in self.kept:
            log.info("rollout waits for others", deployment=ref.name, namespace=ref.namespace)
        return False

    async def _with_present_template(self, manifest: Manifest, workload: WorkloadState, generation: int) -> Manifest:
        template = await self._template(manifest, workload.template)
        kept_generation = generation if workload.generation is None else workload.generation
        return with_template(manifest, template, kept_generation) if template else manifest

    async def _template(self, manifest: Manifest, digest: str) -> Body | None:
        """Return the template with a digest, or None when Kubernetes has it no more."""
        ref = manifest.ref
        if ref not in self.kept or template_digest(self.kept[ref]) != digest:
            found = await self._found_template(manifest, digest)
            if found is None:
                log.warning("template not found", deployment=ref.name, namespace=ref.namespace, template=digest)
                self.lost.add(digest)
                return None
            self.kept[ref] = found
        return self.kept[ref]

    async def _found_template(self, manifest: Manifest, digest: str) -> Body | None:
        deployment = await self.api.get(manifest.ref.path)
        template: Body = deployment["spec"]["template"]
        if template_digest(template) == digest or not digest:
            return template
        for replica_set in (await self.api.get(replica_sets_path(manifest)))["items"]:
            owners = replica_set["metadata"].get("ownerReferences") or []
            is_owned = any(owner["uid"] == deployment["metadata"]["uid"] for owner in owners)
            if is_owned and template_digest(replica_set["spec"]["template"]) == digest:
                return _without_hash(replica_set["spec"]["template"])
        return None

    def _may_start(self, ref: ObjectRef) -> bool:
        if self.running is None:
            self.running = {each for each in self.store.states if each.kind == "Deployment" and self._is_mixed(each)}
        self.running = {each for each in self.running if not self._is_finished(each)}
        if len(self.running) >= ROLLOUTS_AT_ONCE:
            return False
        self.running.add(ref)
        return True

    def _is_mixed(self, ref: ObjectRef) -> bool:
        found = self._deployment(ref)
        return found is not None and any(pod.template != found.workload.template for pod in found.pods)

    def _is_finished(self, ref: ObjectRef) -> bool:
        """Whether it needs no place any more: all pods have the newest template, and one is ready or none has a node.

        Pods without a node may be a probe for spot nodes, which waits for hours and restarts nothing.
        """
        found = self._deployment(ref)
        return found is None or not found.is_rolling or (found.has_no_node and not self._is_mixed(ref))

    def _deployments_beside(self, ref: ObjectRef) -> dict[ObjectRef, DeploymentState]:
        """Return every Deployment of the same resource; what this turn applied already is among them."""
        refs = self.store.refs_of(self.store.owners[ref], ("Deployment",))
        found = {each: self._deployment(each) for each in refs}
        return {each: state for each, state in found.items() if state is not None}

    def _deployment(self, ref: ObjectRef) -> DeploymentState | None:
        workload = self.store.state(ref, WorkloadState)
        if workload is None:
            return None
        return DeploymentState(workload, tuple(pod for pod in self.store.pods_of_deployment(ref) if pod.is_active))


def replica_sets_path(manifest: Manifest) -> str:
    """Return the API path of a Deployment's ReplicaSets, which have its templates of earlier times."""
    selected = ",".join(f"{key}={value}" for key, value in manifest.body["spec"]["selector"]["matchLabels"].items())
    return f"/apis/apps/v1/namespaces/{manifest.ref.namespace}/replicasets?labelSelector={quote(selected)}"


def _without_hash(template: Body) -> Body:
    metadata = template["metadata"]
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != LABEL_TEMPLATE_HASH}
    return template | {"metadata": metadata | {"labels": labels}}


def waiting_message(ref: ObjectRef, region: str) -> str:
    """Return what a Deployment that waits waits for, and the way out."""
    return (
        f"region {region}: Deployment {ref.name} keeps its template, because rollout.strategy Replace would end the"
        " only server that serves. The new template is used when another server or region serves, or at the next wake;"
        " with Surge it starts beside the old one, on a spare GPU"
    )
