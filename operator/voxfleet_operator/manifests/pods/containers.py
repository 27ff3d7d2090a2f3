"""Builds the containers of a pod: the inference server, and the fetcher of its weights.

Knows ports, probes, flags, environment and mounts; the fetcher gets the server's environment, mounts and resources,
because quotas, proxies and private certificate authorities concern both. Does not know the pod around them.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.manifests.pods.weights import Weights
from voxfleet_operator.resources import PodTemplate, Resource, Serving

API_PORT = 6006
METRICS_PORT = 9090
INTERNAL_PORT = 9091
THREADS = "VOXFLEET_CPU_THREADS"
HOME = "/home/voxfleet"
# Gateways learn from the EndpointSlice that the pod leaves; until then it must accept requests.
PRE_STOP_SECONDS = 2

WRITABLE = {"tmp": "/tmp", "home": HOME}  # noqa: S108 - an emptyDir of the pod itself


@dataclass(frozen=True, slots=True)
class PodSettings:
    """The installation's image, pull policy, master key of internal tokens, and URL of stored voices."""

    image: str
    pull_policy: str
    internal_key: str
    voice_source: str = ""


def internal_token(internal_key: str, namespace: str, name: str) -> str:
    """Return the bearer token of internal requests to a resource's pods; it is in no manifest."""
    return hmac.new(internal_key.encode(), f"pod/{namespace}/{name}".encode(), sha256).hexdigest()


def internal_token_sha256(internal_key: str, namespace: str, name: str) -> str:
    """Return the hash by which a pod checks the token of internal requests."""
    return sha256(internal_token(internal_key, namespace, name).encode()).hexdigest()


def server(
    resource: Resource, added: PodTemplate, weights: Weights, image: str, settings: PodSettings
) -> dict[str, Any]:
    """Return the container of the inference server."""
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
    return hardened(container, image, settings.pull_policy)


def fetcher(
    resource: Resource, added: PodTemplate, weights: Weights, image: str, settings: PodSettings
) -> dict[str, Any] | None:
    """Return the init container that downloads the weights, or None where they are not downloaded."""
    if weights.download is None:
        return None
    own = [{"name": "HOME", "value": WRITABLE["tmp"]}, *weights.download.env]
    container = {
        "name": names.CONTAINER_FETCHER,
        "args": list(weights.download.arguments),
        "env": own + _users_env(added, except_for=own),
        # A quota on CPUs or memory refuses a pod with any container without requests or limits. The download needs no
        # more than the server, so the pod's requests stay the same: Kubernetes takes the larger of the two.
        "resources": _amounts(resource, without=resource.spec.gpu.resource_name),
        "volumeMounts": _with_users_mounts(added, list(weights.download.mounts), weights),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return hardened(container, image, settings.pull_policy)


def _environment(resource: Resource, added: PodTemplate) -> list[dict[str, Any]]:
    """Own variables and the user's; HOME cannot be overridden, the number of threads can."""
    own = [{"name": "HOME", "value": HOME}]
    threads = _cpu_threads(resource)
    if threads and THREADS not in {variable.name for variable in added.env or ()}:
        own.append({"name": THREADS, "value": str(threads)})
    return own + _users_env(added, except_for=own)


def _users_env(added: PodTemplate, except_for: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taken = {variable["name"] for variable in except_for}
    users = (variable.model_dump(by_alias=True, exclude_none=True) for variable in added.env or ())
    return [variable for variable in users if variable["name"] not in taken]


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


def hardened(container: dict[str, Any], image: str, pull_policy: str) -> dict[str, Any]:
    """Return a container of an image, with the restricted security context."""
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
    if settings.voice_source:
        flags["--voice-source"] = settings.voice_source
    return ["serve", *(str(word) for pair in flags.items() for word in pair)]


def _serving_flags(serving: Serving) -> dict[str, Any]:
    """Every field of spec.serving is the server's flag of the same name: maxBatchSize is --max-batch-size."""
    return {f"--{name.replace('_', '-')}": value for name, value in serving.model_dump(mode="json").items()}


def _resources(resource: Resource) -> dict[str, Any]:
    """The user's amounts and the GPU."""
    gpu = resource.spec.gpu
    amounts = _amounts(resource)
    if not gpu.count:
        return amounts
    # Extended resources cannot be overcommitted: the limit alone sets the request too.
    return amounts | {"limits": amounts.get("limits", {}) | {gpu.resource_name: str(gpu.count)}}


def _amounts(resource: Resource, without: str = "") -> dict[str, Any]:
    """The user's requests and limits; an empty part is left out."""
    given = resource.spec.resources
    # The API server returns quantities as strings: equal text keeps the digest of the object equal.
    written = {
        name: {key: str(value) for key, value in (amounts or {}).items() if key != without}
        for name, amounts in (("requests", given.requests), ("limits", given.limits))
    }
    return {name: amounts for name, amounts in written.items() if amounts}


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
    return _with_users_mounts(added, own, weights)


def _with_users_mounts(added: PodTemplate, own: list[dict[str, Any]], weights: Weights) -> list[dict[str, Any]]:
    """The container's own mounts and the user's, except for paths that the server has for itself."""
    taken = own_mount_paths(weights)
    users = [mount.model_dump(by_alias=True, exclude_none=True) for mount in added.volume_mounts or ()]
    return own + [mount for mount in users if mount["mountPath"] not in taken]


def own_mount_paths(weights: Weights) -> set[str]:
    """Return the paths that a user's mounts cannot have."""
    return {*WRITABLE.values(), *(mount["mountPath"] for mount in weights.mounts)}
