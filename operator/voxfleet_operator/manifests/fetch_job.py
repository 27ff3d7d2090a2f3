"""Builds the pod of the Job that fills a claim with weights, before the first wake and without a GPU.

Knows how often a Job tries by itself, and which failures it does not try again; that the Job's node decides in which
zone a new volume is made; and that a container which never ends would keep the Job from its end. Does not know when a
Job is made (decisions/weights/fetches.py).
"""

from dataclasses import replace
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.manifests.pods.containers import INTERNAL_PORT, PodSettings, fetcher
from voxfleet_operator.manifests.pods.placement import tolerations, widest_pool, zone_affinity
from voxfleet_operator.manifests.pods.pod import identity, volumes_of
from voxfleet_operator.manifests.pods.weights import Claim, Weights
from voxfleet_operator.resources import Region, Resource, effective_node_selector, effective_pod_template

TRIES_AFTER_THE_FIRST = 3  # with the Job controller's back-off of 10, 20 and 40 s
WEIGHTS_INVALID_EXIT_CODE = 3  # of the fetcher: another try gives the same result
# Requests and limits of both: a quota refuses pods without them. Buffers are small, and page cache is reclaimed.
RESOURCES = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
# A mesh's proxy does not end with the fetcher. Istio reads the label, its older releases the annotation.
ISTIO_INJECTION = {"sidecar.istio.io/inject": "false"}
NO_SIDECARS = ISTIO_INJECTION | {"linkerd.io/inject": "disabled"}
# Of NVIDIA's container runtime, where it is the default: its images ask for every GPU of the node.
NO_GPU = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}


def job_labels(resource: Resource, key: str) -> dict[str, str]:
    """Return the labels of the Job's pods. Without a region: the region's Service would select them as servers."""
    labels = names.resource_labels(resource.key.namespace, resource.key.name)
    return labels | {"app.kubernetes.io/component": "weights", names.LABEL_WEIGHTS: key}


def job_spec(  # noqa: PLR0913, PLR0917 - the parts of a Job
    resource: Resource, region: Region, weights: Weights, claim: Claim, key: str, settings: PodSettings
) -> dict[str, Any]:
    """Return the spec of a Job that fills a claim."""
    added = effective_pod_template(resource.spec, region)
    writing = replace(weights, download=claim.download)
    container = fetcher(resource, added, writing, resource.spec.image or settings.image, settings) or {}
    container["args"] = [*container["args"], "--progress-port", str(INTERNAL_PORT)]
    container["env"] = [*(each for each in container["env"] if each["name"] != NO_GPU["name"]), NO_GPU]
    container["ports"] = [{"name": "internal", "containerPort": INTERNAL_PORT}]
    metadata = added.metadata
    affinity = zone_affinity(added.affinity)
    # Its runtime class may be that of GPU nodes.
    account = {key: value for key, value in identity(added).items() if key != "runtimeClassName"}
    return {
        "backoffLimit": TRIES_AFTER_THE_FIRST,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": names.CONTAINER_FETCHER,
                        "operator": "In",
                        "values": [WEIGHTS_INVALID_EXIT_CODE],
                    },
                },
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": {
            "metadata": {
                "labels": ((metadata.labels if metadata else None) or {}) | ISTIO_INJECTION | job_labels(resource, key),
                # Protected: a fetch that starts again is a wake that waits longer.
                "annotations": ((metadata.annotations if metadata else None) or {}) | NO_SIDECARS | names.PROTECTION,
            },
            "spec": {
                **account,
                "restartPolicy": "Never",  # each failed pod stays, with its own words
                "nodeSelector": effective_node_selector(region),
                **({"affinity": affinity} if affinity else {}),
                # Of every node on which a server may run: there may be no other.
                "tolerations": tolerations(resource, added, widest_pool(resource)),
                "containers": [container | {"resources": RESOURCES}],
                "volumes": volumes_of(added, writing),
            },
        },
    }
