"""Names, labels and selectors of every object that the operator creates.

Knows the rule `<name>-<region>-<hash>`, truncated so that the hash stays whole and every suffix fits into the 63
characters of a DNS label (RFC 1123). Does not know what the objects contain.
"""

from hashlib import sha256

MAX_NAME = 63
LONGEST_SUFFIX = len("-ondemand")
# Within one namespace five hex digits suffice; the registry and the Leases share a namespace with all others.
HASH_CHARACTERS = 5
LONG_HASH_CHARACTERS = 16
FILL_HASH_CHARACTERS = 8

# Labels select objects, so their values must be short; annotations hold what is only read.
LABEL_DEPLOYMENT = "voxfleet.dev/deployment"
LABEL_NAMESPACE = "voxfleet.dev/namespace"
LABEL_REGION = "voxfleet.dev/region"
LABEL_COMPONENT = "app.kubernetes.io/component"
# Its values on objects that lead to the gateways, and on those of a notebook.
GATEWAY, NOTEBOOK = "gateway", "notebook"
LABEL_POOL = "voxfleet.dev/pool"
# On Jobs that fetch weights and on pod templates that read them: what is fetched, and into which claim.
LABEL_WEIGHTS = "voxfleet.dev/weights"
LABEL_JOB = "batch.kubernetes.io/job-name"  # by the Job controller, on pods
LABEL_REGISTRY = "voxfleet.dev/model-registry"
# On objects in a remote region's cluster: an operator there must not take them for its own.
LABEL_REMOTE = "voxfleet.dev/remote"
ANNOTATION_UID = "voxfleet.dev/uid"
ANNOTATION_WOKEN_AT = "voxfleet.dev/woken-at"
ANNOTATION_WOKEN_REASON = "voxfleet.dev/woken-reason"
ANNOTATION_ASLEEP_SINCE = "voxfleet.dev/asleep-since"
ANNOTATION_SLEEP_AT = "voxfleet.dev/sleep-at"  # by `voxfleet sleep` and the fleet page; void after a later renewal
ANNOTATION_TEMPLATE = "voxfleet.dev/template"
ANNOTATION_GENERATION = "voxfleet.dev/generation"
# On every Deployment: with a fallback or with pods that leave, their sum is not what the region shall have.
ANNOTATION_REGION_REPLICAS = "voxfleet.dev/region-replicas"
ANNOTATION_SPOT_RECLAIMED_AT = "voxfleet.dev/spot-reclaimed-at"
# On every Deployment: replicas beside those of pods that leave, and all of them as applied last.
ANNOTATION_POOL_REPLICAS = "voxfleet.dev/pool-replicas"
ANNOTATION_REPLICAS = "voxfleet.dev/replicas"
# On every Deployment, because decisions depend on them: a status may be cleared, or its write be lost.
ANNOTATION_PROVEN_TEMPLATE = "voxfleet.dev/proven-template"
ANNOTATION_FAILURE = "voxfleet.dev/failure"
ANNOTATION_RETIRING_SINCE = "voxfleet.dev/retiring-since"  # on a pod that leaves
ANNOTATION_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"  # read by ReplicaSets
ANNOTATION_CLAIM_UID = "voxfleet.dev/claim-uid"  # on a Job: the claim that it fills, where the operator made that
ANNOTATION_ATTEMPT = "voxfleet.dev/attempt"
# What autoscalers read on a pod: Karpenter, and the cluster autoscaler.
PROTECTION = {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
ANNOTATION_RECONCILE = "voxfleet.dev/reconcile"
# On a resource: its remote regions, until their clusters are clean; and those that the user gives up.
ANNOTATION_REMOTE_REGIONS = "voxfleet.dev/remote-regions"
ANNOTATION_ABANDON_REMOTE = "voxfleet.dev/abandon-remote"
ANNOTATION_KUBECONFIG = "voxfleet.dev/kubeconfig"  # on objects in a remote cluster: the Secret that they were made by
FINALIZER = "voxfleet.dev/remote-regions"
FIELD_MANAGER = "voxfleet-operator"

POOL_ON_DEMAND = "ondemand"
POOL_SPOT = "spot"
POOLS = (POOL_ON_DEMAND, POOL_SPOT)

# Containers of a pod; every other one was injected.
CONTAINER_SERVER = "inference"
CONTAINER_FETCHER = "fetch-weights"


def regional_name(name: str, region: str) -> str:
    """Return the name of a region's Service; its Deployments append a suffix to it."""
    # Without the digest, "a-b" in region "c" and "a" in region "b-c" would have the same name.
    digest = _digest(name, region)[:HASH_CHARACTERS]
    return _truncated(f"{name}-{region}", MAX_NAME - LONGEST_SUFFIX, digest)


def workload_name(name: str, region: str, pool: str) -> str:
    """Return the name of a pool's Deployment."""
    return f"{regional_name(name, region)}-{pool}"


def lease_name(namespace: str, name: str, region: str) -> str:
    """Return the name of the demand Lease, unique among the resources of all namespaces."""
    digest = _digest(namespace, name, region)[:LONG_HASH_CHARACTERS]
    return _truncated(f"{name}-{region}", MAX_NAME, digest)


def registry_name(namespace: str, name: str) -> str:
    """Return the name of the ConfigMap from which gateways read the model."""
    digest = _digest(namespace, name)[:LONG_HASH_CHARACTERS]
    return _truncated(f"model-{namespace}-{name}", MAX_NAME, digest)


def claim_name(name: str, region: str, kind_of_storage: str) -> str:
    """Return the name of a region's claim for weights; a claim's storage class and access mode cannot be changed."""
    digest = _digest(name, region, kind_of_storage)[:HASH_CHARACTERS]
    return _truncated(f"{name}-{region}-weights", MAX_NAME, digest)


def fill_name(name: str, region: str, weights: str, attempt: int) -> str:
    """Return the name of a Job that fetches weights: a Job cannot be changed, so each attempt is a new one."""
    digest = _digest(name, region, weights, str(attempt))[:FILL_HASH_CHARACTERS]
    return _truncated(f"{name}-{region}-fetch", MAX_NAME, digest)


def weights_key(*parts: str) -> str:
    """Return a label value that identifies what is fetched, and where to."""
    return _digest(*parts)[:LONG_HASH_CHARACTERS]


def pre_pull_name(name: str, image: str, placement: str) -> str:
    """Return the name of a DaemonSet that pulls an image to the nodes of one placement."""
    return _truncated(f"{name}-pull", MAX_NAME, _digest(name, image, placement)[:FILL_HASH_CHARACTERS])


def way_in_name(namespace: str, name: str) -> str:
    """Return the name of the Ingress and the ReferenceGrant of a resource, in the gateways' namespace."""
    digest = _digest(namespace, name)[:LONG_HASH_CHARACTERS]
    return _truncated(f"{namespace}-{name}", MAX_NAME, digest)


def notebook_name(name: str) -> str:
    """Return the name of every object of a resource's notebook."""
    return f"{name}-{NOTEBOOK}"


def network_policy_name(name: str) -> str:
    """Return the name of the NetworkPolicy of a resource's pods."""
    return f"{name}-inference"


def resource_labels(namespace: str, name: str) -> dict[str, str]:
    """Return the labels of every object of a resource."""
    return {
        "app.kubernetes.io/name": "voxfleet",
        "app.kubernetes.io/component": "inference",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
        LABEL_DEPLOYMENT: name,
        LABEL_NAMESPACE: namespace,
    }


def notebook_labels(namespace: str, name: str) -> dict[str, str]:
    """Return the labels of the objects of a resource's notebook, except its pod."""
    return resource_labels(namespace, name) | {LABEL_COMPONENT: NOTEBOOK}


def notebook_selector(name: str) -> dict[str, str]:
    """Return the labels that select a resource's notebook: without LABEL_DEPLOYMENT, which its servers' pods have."""
    return {"voxfleet.dev/notebook": name}


def regional_labels(namespace: str, name: str, region: str) -> dict[str, str]:
    """Return the labels of every object of one region."""
    return resource_labels(namespace, name) | {LABEL_REGION: region}


def pool_labels(namespace: str, name: str, region: str, pool: str) -> dict[str, str]:
    """Return the labels of a pool's Deployment and of its pods."""
    return regional_labels(namespace, name, region) | {LABEL_POOL: pool}


def region_selector(name: str, region: str) -> dict[str, str]:
    """Return the labels that select a region's pods of every pool: for its Service and for zone spread."""
    return {LABEL_DEPLOYMENT: name, LABEL_REGION: region}


def pod_selector(name: str, region: str, pool: str) -> dict[str, str]:
    """Return the labels that select one Deployment's pods.

    A Deployment's selector is immutable. Without the pool, an on-demand and a spot Deployment of one region would
    select each other's pods.
    """
    return region_selector(name, region) | {LABEL_POOL: pool}


def _digest(*parts: str) -> str:
    return sha256("/".join(parts).encode()).hexdigest()


def _truncated(readable: str, length: int, digest: str) -> str:
    readable_length = length - len(digest) - 1
    return f"{readable[:readable_length].rstrip('-.')}-{digest}"
