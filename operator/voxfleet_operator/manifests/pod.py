"""The pod of an inference server.

Knows ports, probes, security, weights and the server's flags. What a user adds by podTemplate is merged under it.
Does not know replicas, phases or who sends the manifest.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Any

from voxfleet_operator.manifests.weights import Weights
from voxfleet_operator.resources import (
    PodTemplate,
    Region,
    Resource,
    effective_node_selector,
    effective_pod_template,
)

API_PORT = 6006
METRICS_PORT = 9090
INTERNAL_PORT = 9091
USER_ID = 65_532
CONTAINER = "inference"
THREADS = "VOXFLEET_CPU_THREADS"
HOME = "/home/voxfleet"
GRACE_BEYOND_DRAIN_SECONDS = 30
# Long enough for gateways to learn that the pod leaves before it stops accepting.
LEAVE_SECONDS = 2

WRITABLE = {"tmp": "/tmp", "home": HOME}  # noqa: S108 - an empty folder of the pod itself


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the installation adds: image, pull policy and the master key of internal tokens."""

    image: str
    pull_policy: str
    internal_key: str


def internal_token_sha256(internal_key: str, namespace: str, name: str) -> str:
    """What a pod needs to check its callers' token; the token itself never stands in a pod."""
    token = hmac.new(internal_key.encode(), f"pod/{namespace}/{name}".encode(), sha256).hexdigest()
    return sha256(token.encode()).hexdigest()


def pod_template(
    resource: Resource, region: Region, labels: dict[str, str], weights: Weights, settings: PodSettings
) -> dict[str, Any]:
    """The template of a region's Deployment."""
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
    """Additions that would replace what VoxFleet sets; ours wins and the condition names them."""
    ours_volumes = {*WRITABLE, *(volume["name"] for volume in weights.volumes)}
    ours_paths = {*WRITABLE.values(), *(mount["mountPath"] for mount in weights.mounts)}
    return [
        *(f"volumes[{volume.name}]" for volume in added.volumes or () if volume.name in ours_volumes),
        *(f"volumeMounts[{mount.mount_path}]" for mount in added.volume_mounts or () if mount.mount_path in ours_paths),
        *("env[HOME]" for variable in added.env or () if variable.name == "HOME"),
    ]


def _identity(added: PodTemplate) -> dict[str, Any]:
    identity = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
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
    ours = [{"key": gpu.resource_name, "operator": "Exists", "effect": "NoSchedule"}] if gpu.count else []
    theirs = [toleration.model_dump(by_alias=True, exclude_none=True) for toleration in added.tolerations or ()]
    placement: dict[str, Any] = {
        "nodeSelector": effective_node_selector(region),
        "tolerations": ours + theirs,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _selector(resource, region)},
            }
        ],
    }
    return placement | ({"affinity": added.affinity} if added.affinity else {})


def _selector(resource: Resource, region: Region) -> dict[str, str]:
    return {"voxfleet.dev/deployment": resource.key.name, "voxfleet.dev/region": region.name}


def _server(
    resource: Resource, added: PodTemplate, weights: Weights, image: str, settings: PodSettings
) -> dict[str, Any]:
    container = {
        "name": CONTAINER,
        "args": _arguments(resource, weights, settings),
        "env": _environment(resource, added),
        "ports": [
            {"name": "http", "containerPort": API_PORT},
            {"name": "metrics", "containerPort": METRICS_PORT},
            {"name": "internal", "containerPort": INTERNAL_PORT},
        ],
        "resources": _resources(resource),
        "volumeMounts": _mounts(added, weights),
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_probes(),
    }
    return _hardened(container, image, settings.pull_policy)


def _environment(resource: Resource, added: PodTemplate) -> list[dict[str, Any]]:
    """Ours, and under it theirs; the number of threads is a default that they may change."""
    theirs = [variable.model_dump(by_alias=True, exclude_none=True) for variable in added.env or ()]
    named = {variable["name"] for variable in theirs}
    mine = [{"name": "HOME", "value": HOME}]
    threads = _cpu_threads(resource)
    if threads and THREADS not in named:
        mine.append({"name": THREADS, "value": str(threads)})
    return mine + [variable for variable in theirs if variable["name"] != "HOME"]


def _cpu_threads(resource: Resource) -> int | None:
    """As many as CPUs are asked for: by itself PyTorch starts one per core of the node, and they spin."""
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
    spec, serving = resource.spec, resource.spec.serving
    flags = {
        "--model-path": weights.model_path,
        "--model-name": resource.model_name,
        "--device": "cuda" if spec.gpu.count else "cpu",
        "--dtype": serving.dtype,
        "--inference-timesteps": serving.inference_timesteps,
        "--cfg-value": serving.cfg_value,
        "--max-batch-size": serving.max_batch_size,
        "--max-queued-requests": serving.max_queued_requests,
        "--drain-seconds": spec.disruption.drain_seconds,
    }
    if settings.internal_key:
        digest = internal_token_sha256(settings.internal_key, resource.key.namespace, resource.key.name)
        flags["--internal-token-sha256"] = digest
    return ["serve", *(str(word) for pair in flags.items() for word in pair)]


def _resources(resource: Resource) -> dict[str, Any]:
    gpu, given = resource.spec.gpu, resource.spec.resources
    limits = {key: str(value) for key, value in (given.limits or {}).items()}
    requests = {key: str(value) for key, value in (given.requests or {}).items()}
    if gpu.count:
        limits[gpu.resource_name] = str(gpu.count)
    return {name: amounts for name, amounts in (("requests", requests), ("limits", limits)) if amounts}


def _probes() -> dict[str, Any]:
    """Live answers while weights load, so a long load is never killed; only a dead process is."""
    live = {"httpGet": {"path": "/health/live", "port": "http"}}
    ready = {"httpGet": {"path": "/health/ready", "port": "http"}}
    return {
        "startupProbe": live | {"periodSeconds": 1, "failureThreshold": 120, "timeoutSeconds": 2},
        "readinessProbe": ready | {"periodSeconds": 2, "failureThreshold": 2, "timeoutSeconds": 2},
        "livenessProbe": live | {"periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
    }


def _mounts(added: PodTemplate, weights: Weights) -> list[dict[str, Any]]:
    ours = [*({"name": name, "mountPath": path} for name, path in WRITABLE.items()), *weights.mounts]
    taken = {mount["mountPath"] for mount in ours}
    theirs = [mount.model_dump(by_alias=True, exclude_none=True) for mount in added.volume_mounts or ()]
    return ours + [mount for mount in theirs if mount["mountPath"] not in taken]


def _volumes(added: PodTemplate, weights: Weights) -> list[dict[str, Any]]:
    ours: list[dict[str, Any]] = [*({"name": name, "emptyDir": {}} for name in WRITABLE), *weights.volumes]
    taken = {volume["name"] for volume in ours}
    theirs = [volume.model_dump(by_alias=True, exclude_none=True) for volume in added.volumes or ()]
    return ours + [volume for volume in theirs if volume["name"] not in taken]
