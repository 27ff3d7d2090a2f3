"""The names of everything the operator makes.

Knows the rule: `<name>-<region>-<hash>`, cut so that the hash stays whole and every suffix fits into 63 characters.
Does not know what the objects contain.
"""

from hashlib import sha256

MAX_NAME = 63
LONGEST_SUFFIX = len("-ondemand")
HASH_CHARACTERS = 5
LONG_HASH_CHARACTERS = 16

LABEL_DEPLOYMENT = "voxfleet.dev/deployment"
LABEL_NAMESPACE = "voxfleet.dev/namespace"
LABEL_REGION = "voxfleet.dev/region"
LABEL_REGISTRY = "voxfleet.dev/model-registry"
ANNOTATION_UID = "voxfleet.dev/uid"
ANNOTATION_WOKEN_AT = "voxfleet.dev/woken-at"
ANNOTATION_WOKEN_REASON = "voxfleet.dev/woken-reason"
ANNOTATION_ASLEEP_SINCE = "voxfleet.dev/asleep-since"
ANNOTATION_RECONCILE = "voxfleet.dev/reconcile"
FIELD_MANAGER = "voxfleet-operator"


def regional_name(name: str, region: str) -> str:
    """Name shared by a region's objects: the Service itself, and the stem of its Deployments."""
    digest = _digest(name, region)[:HASH_CHARACTERS]
    return _cut(f"{name}-{region}", MAX_NAME - LONGEST_SUFFIX, digest)


def on_demand_name(name: str, region: str) -> str:
    """Name of the Deployment on on-demand machines."""
    return f"{regional_name(name, region)}-ondemand"


def lease_name(namespace: str, name: str, region: str) -> str:
    """Name of the demand Lease; the hash keeps resources of all namespaces apart in one namespace."""
    digest = _digest(namespace, name, region)[:LONG_HASH_CHARACTERS]
    return _cut(f"{name}-{region}", MAX_NAME, digest)


def registry_name(namespace: str, name: str) -> str:
    """Name of the ConfigMap from which gateways know the model."""
    digest = _digest(namespace, name)[:LONG_HASH_CHARACTERS]
    return _cut(f"model-{namespace}-{name}", MAX_NAME, digest)


def network_policy_name(name: str) -> str:
    """Name of the NetworkPolicy of a resource's pods."""
    return f"{name}-inference"


def resource_labels(namespace: str, name: str) -> dict[str, str]:
    """Labels on every object of a resource."""
    return {
        "app.kubernetes.io/name": "voxfleet",
        "app.kubernetes.io/component": "inference",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        LABEL_DEPLOYMENT: name,
        LABEL_NAMESPACE: namespace,
    }


def regional_labels(namespace: str, name: str, region: str) -> dict[str, str]:
    """Labels on every object of one region of a resource."""
    return resource_labels(namespace, name) | {LABEL_REGION: region}


def pod_selector(name: str, region: str) -> dict[str, str]:
    """Labels by which Services and Deployments find a region's pods; they can never change."""
    return {LABEL_DEPLOYMENT: name, LABEL_REGION: region}


def _digest(*components: str) -> str:
    return sha256("/".join(components).encode()).hexdigest()


def _cut(readable: str, length: int, digest: str) -> str:
    room = length - len(digest) - 1
    return f"{readable[:room].rstrip('-.')}-{digest}"
