"""Builds the DaemonSets that pull the server's image to nodes before a wake.

Knows that one DaemonSet serves every region and resource with the same image, placement and pull secrets: the oldest
resource that asks for it has it. Does not know which nodes there are.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.remote.recorded import regions_in
from voxfleet_operator.manifests.pods.containers import PodSettings, hardened
from voxfleet_operator.manifests.pods.placement import tolerations, widest_pool
from voxfleet_operator.manifests.pods.pod import identity
from voxfleet_operator.manifests.pods.weights import MOUNT, weights_of
from voxfleet_operator.resources import Region, Resource, effective_node_selector, effective_pod_template

# One container per node that does nothing: the smallest amounts that a quota on CPUs and memory accepts.
RESOURCES = {amount: {"cpu": "10m", "memory": "16Mi"} for amount in ("requests", "limits")}


@dataclass(frozen=True, slots=True)
class PrePull:
    """An image on the nodes of one placement; `placement`: node selector, tolerations and pull secrets, as JSON."""

    namespace: str
    image: str
    placement: str


def pre_pulls(resource: Resource, settings: PodSettings, kubeconfig: str = "") -> dict[PrePull, Region]:
    """Return what a resource asks for in one cluster, each with the first of its regions there."""
    if not resource.spec.cache.pre_pull_image:
        return {}
    found: dict[PrePull, Region] = {}
    for region in regions_in(resource, kubeconfig):
        found.setdefault(_pre_pull(resource, region, settings), region)
    return found


def owned_by(
    resource: Resource, others: Iterable[Resource], settings: PodSettings, kubeconfig: str = ""
) -> frozenset[PrePull]:
    """Return those that no older resource asks for too; all in a remote cluster, which two may reach differently."""
    own = pre_pulls(resource, settings, kubeconfig).keys()
    if kubeconfig:
        return frozenset(own)
    if not own:
        return frozenset()
    age = (resource.created_at, resource.key)
    older = [each for each in others if each.spec.cache.pre_pull_image and (each.created_at, each.key) < age]
    taken = {each for other in older for each in pre_pulls(other, settings)}
    return frozenset(own - taken)


def daemon_set_spec(resource: Resource, region: Region, name: str, settings: PodSettings) -> dict[str, Any]:
    """Return the spec of a DaemonSet whose pods have the server's image, and do nothing."""
    added = effective_pod_template(resource.spec, region)
    labels = names.resource_labels(resource.key.namespace, resource.key.name)
    labels |= {"app.kubernetes.io/component": "pre-pull", "voxfleet.dev/pre-pull": name}
    weights = weights_of(resource, region, ())
    image_volumes = [*weights.volumes] if weights.needs_image_volumes else []
    container = {
        "name": "image",
        "command": ["sleep", "infinity"],
        "resources": RESOURCES,
        "volumeMounts": [{"name": volume["name"], "mountPath": MOUNT, "readOnly": True} for volume in image_volumes],
    }
    # A Secret's or account's name is all that pulling needs of the identity.
    return {
        "selector": {"matchLabels": {"voxfleet.dev/pre-pull": name}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
        "template": {
            "metadata": {"labels": {key: value for key, value in labels.items() if key != names.LABEL_DEPLOYMENT}},
            "spec": {
                **identity(added),
                "terminationGracePeriodSeconds": 0,
                "nodeSelector": effective_node_selector(region),
                "tolerations": tolerations(resource, added, widest_pool(resource)),
                "containers": [hardened(container, resource.spec.image or settings.image, settings.pull_policy)],
                "volumes": image_volumes,
            },
        },
    }


def _pre_pull(resource: Resource, region: Region, settings: PodSettings) -> PrePull:
    added = effective_pod_template(resource.spec, region)
    weights = weights_of(resource, region, ())
    placement = {
        "selector": effective_node_selector(region),
        "tolerations": tolerations(resource, added, widest_pool(resource)),
        "secrets": [secret.name for secret in added.image_pull_secrets or ()],
        "weights": [*weights.volumes] if weights.needs_image_volumes else [],
    }
    written = json.dumps(placement, sort_keys=True)
    return PrePull(resource.key.namespace, resource.spec.image or settings.image, written)
