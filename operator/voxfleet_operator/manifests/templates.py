"""Recognizes pod templates by a digest, so that pods, Deployments and generations can be compared.

Does not know what a template contains.
"""

import json
from hashlib import sha256
from typing import Any

from voxfleet_operator import names

DIGEST_CHARACTERS = 16  # 64 bits: compared with other templates of the same Deployment only


def stamped(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with its own digest as an annotation, which the Deployment's pods inherit."""
    digest = sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARACTERS]
    metadata = template["metadata"]
    annotations = metadata["annotations"] | {names.ANNOTATION_TEMPLATE: digest}
    return template | {"metadata": metadata | {"annotations": annotations}}
