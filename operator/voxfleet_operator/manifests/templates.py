"""Recognizes pod templates by a digest, so that pods, Deployments and generations can be compared.

Knows when a changed template restarts running pods although the spec is the same: after an upgrade of the operator,
or with another default image. Does not know how many rollouts may run.
"""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.decisions.observed import WorkloadState
from voxfleet_operator.manifests.manifest import Manifest

NO_GENERATION = 0  # the API server counts generations from 1
DIGEST_CHARACTERS = 16  # 64 bits: compared with other templates of the same Deployment only


def stamped(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with its own digest as an annotation, which the Deployment's pods inherit."""
    digest = sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARACTERS]
    metadata = template["metadata"]
    annotations = metadata["annotations"] | {names.ANNOTATION_TEMPLATE: digest}
    return template | {"metadata": metadata | {"annotations": annotations}}


def restarts_pods(workload: WorkloadState, manifest: Manifest) -> bool:
    """Whether applying a Deployment's manifest would replace running pods.

    A Deployment at zero, or on its way there, restarts no pod.
    """
    spec = manifest.body["spec"]
    digest = spec["template"]["metadata"]["annotations"][names.ANNOTATION_TEMPLATE]
    return workload.replicas > 0 and spec["replicas"] > 0 and workload.template != digest


def is_operators_own(workload: WorkloadState, generation: int) -> bool:
    """Whether a changed template is for a spec that the Deployment has already; a user's change is never delayed."""
    return workload.generation in {None, generation}


def ends_servers_first(manifest: Manifest) -> bool:
    """Whether a rollout ends a server before its successor is ready: strategy Replace."""
    limits = manifest.body["spec"]["strategy"]["rollingUpdate"]
    return bool(limits["maxUnavailable"])


def with_template(manifest: Manifest, template: dict[str, Any], generation: int | None) -> Manifest:
    """Return a Deployment's manifest with another template, which is of another generation of the spec, or of none."""
    metadata = manifest.body["metadata"]
    annotations = metadata["annotations"] | {names.ANNOTATION_GENERATION: str(generation or NO_GENERATION)}
    changed = {"metadata": metadata | {"annotations": annotations}}
    return replace(manifest, body=manifest.body | changed | {"spec": manifest.body["spec"] | {"template": template}})
