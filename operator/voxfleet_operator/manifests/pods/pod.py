"""Builds the pod template of an inference server.

Knows identity and volumes. A user's podTemplate is merged under these: where both set a value, VoxFleet's is used. Does
not know the containers (containers.py), the nodes (placement.py), replicas or phases.
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.manifests.pods.containers import WRITABLE, PodSettings, fetcher, own_mount_paths, server
from voxfleet_operator.manifests.pods.placement import placement
from voxfleet_operator.manifests.pods.weights import Weights
from voxfleet_operator.resources import PodTemplate, Region, Resource, effective_pod_template

USER_ID = 65_532  # of the account in the image (inference/Dockerfile)
GRACE_BEYOND_DRAIN_SECONDS = 30


def pod_template(  # noqa: PLR0913, PLR0917 - the parts of a template
    resource: Resource,
    region: Region,
    pool: str,
    annotations: dict[str, str],
    weights: Weights,
    settings: PodSettings,
) -> dict[str, Any]:
    """Return the pod template of the Deployment of one capacity pool of a region."""
    added = effective_pod_template(resource.spec, region)
    labels = names.pool_labels(resource.key.namespace, resource.key.name, region.name, pool)
    metadata = added.metadata
    image = resource.spec.image or settings.image
    first = fetcher(resource, added, weights, image, settings)
    return {
        "metadata": {
            "labels": ((metadata.labels if metadata else None) or {}) | labels,
            # Protected from the start: no autoscaler moves a pod that loads (decisions/capacity/protection.py ends it).
            "annotations": ((metadata.annotations if metadata else None) or {}) | annotations | names.PROTECTION,
        },
        "spec": {
            **placement(resource, region, pool),
            **identity(added),
            "terminationGracePeriodSeconds": resource.spec.disruption.drain_seconds + GRACE_BEYOND_DRAIN_SECONDS,
            "initContainers": [first] if first else [],
            "containers": [server(resource, added, weights, image, settings)],
            "volumes": volumes_of(added, weights),
        },
    }


def template_conflicts(added: PodTemplate, weights: Weights) -> list[str]:
    """Return the podTemplate fields that VoxFleet sets itself; they are left out, and a condition names them."""
    own_volumes = {*WRITABLE, *(volume["name"] for volume in weights.volumes)}
    own_paths = own_mount_paths(weights)
    annotations = (added.metadata.annotations if added.metadata else None) or {}
    return [
        *(f"metadata.annotations[{name}]" for name in annotations if name in names.PROTECTION),
        *(f"volumes[{volume.name}]" for volume in added.volumes or () if volume.name in own_volumes),
        *(f"volumeMounts[{mount.mount_path}]" for mount in added.volume_mounts or () if mount.mount_path in own_paths),
        *("env[HOME]" for variable in added.env or () if variable.name == "HOME"),
    ]


def identity(added: PodTemplate) -> dict[str, Any]:
    """Return account, security context and pull secrets, which pods of every kind have."""
    identity = {
        "automountServiceAccountToken": False,  # the server calls no Kubernetes API
        "enableServiceLinks": False,  # variables of a Service named voxfleet would look like the server's settings
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,  # claims are readable for the group
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    optional = {
        "serviceAccountName": added.service_account_name,
        "runtimeClassName": added.runtime_class_name,
        "priorityClassName": added.priority_class_name,
        "imagePullSecrets": [secret.model_dump() for secret in added.image_pull_secrets or ()] or None,
    }
    return identity | {key: value for key, value in optional.items() if value is not None}


def volumes_of(added: PodTemplate, weights: Weights) -> list[dict[str, Any]]:
    """Return a pod's own volumes, and the user's with other names."""
    own: list[dict[str, Any]] = [*({"name": name, "emptyDir": {}} for name in WRITABLE), *weights.volumes]
    taken = {volume["name"] for volume in own}
    users = [volume.model_dump(by_alias=True, exclude_none=True) for volume in added.volumes or ()]
    return own + [volume for volume in users if volume["name"] not in taken]
