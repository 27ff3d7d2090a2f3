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

DIGEST_CHARACTERS = 16  # 64 bits: compared with other templates of the same Deployment only


def stamped(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with its own digest as an annotation, which the Deployment's pods inherit."""
    digest = sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARACTERS]
    metadata = template["metadata"]
    annotations = metadata["annotations"] | {names.ANNOTATION_TEMPLATE: digest}
    return template | {"metadata": metadata | {"annotations": annotations}}


def awaits_rollout(workload: WorkloadState, manifest: Manifest, generation: int) -> bool:
    """Whether applying a Deployment's manifest would restart running pods for a spec that they already have.

    A user's change of the spec is applied at once; a Deployment at zero, or on its way there, restarts no pod.
    """
    if manifest.kind != "Deployment":
        return False
    spec = manifest.body["spec"]
    digest = spec["template"]["metadata"]["annotations"][names.ANNOTATION_TEMPLATE]
    is_running = workload.replicas > 0 and spec["replicas"] > 0
    return is_running and workload.template != digest and workload.generation in {None, generation}


def with_template(manifest: Manifest, template: dict[str, Any]) -> Manifest:
    """Return a Deployment's manifest with another template."""
    return replace(manifest, body=manifest.body | {"spec": manifest.body["spec"] | {"template": template}})
