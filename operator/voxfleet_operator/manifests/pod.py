"""Builds the pod template of an inference server.

Knows ports, probes, security context, weights and the server's flags. A user's podTemplate is merged under these:
where both set a value, VoxFleet's is used. Does not know replicas or phases.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.manifests.weights import Weights
from voxfleet_operator.resources import (
    PodTemplate,
    Region,
    Resource,
    Serving,
    effective_node_selector,
    effective_pod_template,
)

API_PORT = 6006
METRICS_PORT = 9090
INTERNAL_PORT = 9091
USER_ID = 65_532  # of the account in the image (inference/Dockerfile)
THREADS = "VOXFLEET_CPU_THREADS"
HOME = "/home/voxfleet"
GRACE_BEYOND_DRAIN_SECONDS = 30
# Gateways learn from the EndpointSlice that the pod leaves; until then it must accept requests.
PRE_STOP_SECONDS = 2

WRITABLE = {"tmp": "/tmp", "home": HOME}  # noqa: S108 - an emptyDir of the pod itself


@dataclass(frozen=True, slots=True)
class PodSettings:
    """The installation's image, pull policy and master key of internal tokens."""

    image: str
    pull_policy: str
    internal_key: str


def internal_token_sha256(internal_key: str, namespace: str, name: str) -> str:
    """Return the hash by which a pod checks the token of internal requests; the token itself is in no manifest."""
    token = hmac.new(internal_key.encode(), f"pod/{namespace}/{name}".encode(), sha256).hexdigest()
    return sha256(token.encode()).hexdigest()


def pod_template(
    resource: Resource, region: Region, labels: dict[str, str], weights: Weights, settings: PodSettings
) -> dict[str, Any]:
    """Return the pod template of a region's Deployment."""
    added = effective_pod_template(resource.spec, region)
    metadata = added.metadata
    image = resource.spec.image or settings.image
    return {
        "metadata": {
            "labels": ((metadata.labels if metadata else None) or {}) | labels,
            "annotations": (metadata.annotations if metadata else None) or {},
        },
        "spec": {
            **_placement(resource, region, added),
            **_identity(added),
            "terminationGracePeriodSeconds": resource.spec.disruption.drain_seconds + GRACE_BEYOND_DRAIN_SECONDS,
            "initContainers": [_hardened(container, image, settings.pull_policy) for container in weights.fetchers],
            "containers": [_server(resource, added, weights, image, settings)],
            "volumes": _volumes(added, weights),
        },
    }


def template_conflicts(added: PodTemplate, weights: Weights) -> list[str]:
    """Return the podTemplate fields that VoxFleet sets itself; they are left out, and a condition names them."""
    own_volumes = {*WRITABLE, *(volume["name"] for volume in weights.volumes)}
    own_paths = {*WRITABLE.values(), *(mount["mountPath"] for mount in weights.mounts)}
    return [
        *(f"volumes[{volume.name}]" for volume in added.volumes or () if volume.name in own_volumes),
        *(f"volumeMounts[{mount.mount_path}]" for mount in added.volume_mounts or () if mount.mount_path in own_paths),
        *("env[HOME]" for variable in added.env or () if variable.name == "HOME"),
    ]


def _identity(added: PodTemplate) -> dict[str, Any]:
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


def _placement(resource: Resource, region: Region, added: PodTemplate) -> dict[str, Any]:
    gpu = resource.spec.gpu
    # Clouds taint GPU nodes with the name of their extended resource, so that only pods which need a GPU run there.
    own = [{"key": gpu.resource_name, "operator": "Exists", "effect": "NoSchedule"}] if gpu.count else []
    users = [toleration.model_dump(by_alias=True, exclude_none=True) for toleration in added.tolerations or ()]
    placement: dict[str, Any] = {
        "nodeSelector": effective_node_selector(region),
        "tolerations": own + users,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",  # one zone may be the only one with a free GPU
                "labelSelector": {"matchLabels": names.region_selector(resource.key.name, region.name)},
            }
        ],
    }
    return placement | ({"affinity": added.affinity} if added.affinity else {})


def _server(
    resource: Resource, added: PodTemplate, weights: Weights, image: str, settings: PodSettings
) -> dict[str, Any]:
    container = {
        "name": names.CONTAINER_SERVER,
        "args": _arguments(resource, weights, settings),
        "env": _environment(resource, added),
        "ports": [
            {"name": "http", "containerPort": API_PORT},
            {"name": "metrics", "containerPort": METRICS_PORT},
            {"name": "internal", "containerPort": INTERNAL_PORT},
        ],
        "resources": _resources(resource),
        "volumeMounts": _mounts(added, weights),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        # The last lines of the log become the message of a failed wake when the server wrote none itself.
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_probes(),
    }
    return _hardened(container, image, settings.pull_policy)


def _environment(resource: Resource, added: PodTemplate) -> list[dict[str, Any]]:
    """Own variables and the user's; HOME cannot be overridden, the number of threads can."""
    users = [variable.model_dump(by_alias=True, exclude_none=True) for variable in added.env or ()]
    own = [{"name": "HOME", "value": HOME}]
    threads = _cpu_threads(resource)
    if threads and THREADS not in {variable["name"] for variable in users}:
        own.append({"name": THREADS, "value": str(threads)})
    return own + [variable for variable in users if variable["name"] != "HOME"]


def _cpu_threads(resource: Resource) -> int | None:
    """Return one thread per CPU of the limit or request.

    By default PyTorch starts one per core of the node; in a pod with fewer CPUs they spin and are throttled.
    """
    given = resource.spec.resources
    cpu = (given.limits or {}).get("cpu") or (given.requests or {}).get("cpu")
    if resource.spec.gpu.count or cpu is None:
        return None
    written = str(cpu)
    cores = float(written[:-1]) / 1000 if written.endswith("m") else float(written)
    return max(1, ceil(cores))


def _hardened(container: dict[str, Any], image: str, pull_policy: str) -> dict[str, Any]:
    return container | {
        "image": image,
        "imagePullPolicy": pull_policy,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _arguments(resource: Resource, weights: Weights, settings: PodSettings) -> list[str]:
    spec = resource.spec
    flags = {
        "--model-path": weights.model_path,
        "--model-name": resource.model_name,
        "--device": "cuda" if spec.gpu.count else "cpu",
        **_serving_flags(spec.serving),
        "--drain-seconds": spec.disruption.drain_seconds,
    }
    if settings.internal_key:
        digest = internal_token_sha256(settings.internal_key, resource.key.namespace, resource.key.name)
        flags["--internal-token-sha256"] = digest
    return ["serve", *(str(word) for pair in flags.items() for word in pair)]


def _serving_flags(serving: Serving) -> dict[str, Any]:
    """Every field of spec.serving is the server's flag of the same name: maxBatchSize is --max-batch-size."""
    return {f"--{name.replace('_', '-')}": value for name, value in serving.model_dump(mode="json").items()}


def _resources(resource: Resource) -> dict[str, Any]:
    gpu, given = resource.spec.gpu, resource.spec.resources
    # The API server returns quantities as strings: equal text keeps the digest of the object equal.
    limits = {key: str(value) for key, value in (given.limits or {}).items()}
    requests = {key: str(value) for key, value in (given.requests or {}).items()}
    if gpu.count:
        # Extended resources cannot be overcommitted: the limit alone sets the request too.
        limits[gpu.resource_name] = str(gpu.count)
    return {name: amounts for name, amounts in (("requests", requests), ("limits", limits)) if amounts}


def _probes() -> dict[str, Any]:
    """Probe liveness by an endpoint that answers while weights load: the kubelet never restarts a long load."""
    live = {"httpGet": {"path": "/health/live", "port": "http"}}
    ready = {"httpGet": {"path": "/health/ready", "port": "http"}}
    return {
        # HTTP answers about one second after the start; 120 s cover a node that is pulling and starting many pods.
        "startupProbe": live | {"periodSeconds": 1, "failureThreshold": 120, "timeoutSeconds": 2},
        "readinessProbe": ready | {"periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 2},
        # A restart breaks every stream: only after a minute without an answer.
        "livenessProbe": live | {"periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
    }


def _mounts(added: PodTemplate, weights: Weights) -> list[dict[str, Any]]:
    own = [*({"name": name, "mountPath": path} for name, path in WRITABLE.items()), *weights.mounts]
    taken = {mount["mountPath"] for mount in own}
    users = [mount.model_dump(by_alias=True, exclude_none=True) for mount in added.volume_mounts or ()]
    return own + [mount for mount in users if mount["mountPath"] not in taken]


def _volumes(added: PodTemplate, weights: Weights) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = [*({"name": name, "emptyDir": {}} for name in WRITABLE), *weights.volumes]
    taken = {volume["name"] for volume in own}
    users = [volume.model_dump(by_alias=True, exclude_none=True) for volume in added.volumes or ()]
    return own + [volume for volume in users if volume["name"] not in taken]
