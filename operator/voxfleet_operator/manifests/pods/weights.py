"""Provides a pod with weights: from the image, an image volume, a host folder, a claim, or a download.

Knows the schemes of model.source, the types of cache.weights, and what a download needs. Weights of pvc://, file:// and
oci:// are where pods read them, so a cache concerns hf:// and s3:// alone. Does not know the rest of the pod.
"""

from dataclasses import dataclass, field
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.resources import CacheType, Model, Region, Resource

VOLUME = "weights"
MOUNT = "/weights"
TERMINATION_LOG = "/dev/termination-log"

# Environment of the fetcher by key of the Secret, and whether the key must be there.
SECRET_KEYS = {
    "hf": (("HF_TOKEN", "token", True),),
    "s3": (
        ("AWS_ACCESS_KEY_ID", "accessKeyId", True),
        ("AWS_SECRET_ACCESS_KEY", "secretAccessKey", True),
        ("AWS_SESSION_TOKEN", "sessionToken", False),
        ("AWS_ENDPOINT_URL", "endpoint", False),
        ("AWS_REGION", "region", False),
    ),
}


@dataclass(frozen=True, slots=True)
class Download:
    """What the fetcher, a container of the server's image, needs to download the weights."""

    arguments: tuple[str, ...]
    env: tuple[dict[str, Any], ...]
    mounts: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim that a Job fills before a wake; `spec` is None where the user has made it."""

    name: str
    spec: dict[str, Any] | None
    download: Download


@dataclass(frozen=True, slots=True)
class Weights:
    """The server's --model-path, the volumes and mounts that it needs, and the download before it.

    `download` runs in each pod, `claim` is filled once for all of them. `refusal`: (reason, message) of weights that
    this installation does not give to pods.
    """

    model_path: str
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    download: Download | None = None
    claim: Claim | None = None
    refusal: tuple[str, str] | None = None
    needs_image_volumes: bool = field(default=False)


def weights_of(resource: Resource, region: Region, allowed_host_paths: tuple[str, ...]) -> Weights:
    """Return the weights for the scheme of model.source and the type of the cache."""
    model, cache = resource.spec.model, resource.spec.cache.weights
    scheme, _, rest = model.source.partition("://")
    if scheme == "file":
        return _from_folder(rest, allowed_host_paths)
    if scheme == "pvc":
        return _from_claim(rest)
    if scheme == "oci" or cache.type == CacheType.IMAGE:
        return _from_image(rest if scheme == "oci" else cache.image or "")
    if cache.type == CacheType.PERSISTENT_VOLUME_CLAIM:
        return _cached_in_claim(resource, region)
    if cache.type == CacheType.HOST_PATH:
        return _cached_on_host(model, cache.path or "", allowed_host_paths)
    return Weights(
        MOUNT,
        volumes=({"name": VOLUME, "emptyDir": {}},),
        mounts=(_read_only(MOUNT),),
        download=_download(model, MOUNT),
    )


def needs_image_volumes(resource: Resource) -> bool:
    """Whether the pods of a resource mount an image."""
    model, cache = resource.spec.model, resource.spec.cache.weights
    is_fetched = model.source.startswith(("hf://", "s3://"))
    return model.source.startswith("oci://") or (is_fetched and cache.type == CacheType.IMAGE)


def users_claim_of(resource: Resource) -> tuple[str, str] | None:
    """Return the name of the claim that the user has made, and the field that names it; None without one."""
    source, cache = resource.spec.model.source, resource.spec.cache.weights
    scheme, _, rest = source.partition("://")
    if scheme == "pvc":
        return rest.partition("/")[0], f"model.source {source}"
    is_cached = scheme in SECRET_KEYS and cache.type == CacheType.PERSISTENT_VOLUME_CLAIM
    return (cache.claim_name, f"cache.weights.claimName {cache.claim_name}") if is_cached and cache.claim_name else None


def what_of(resource: Resource) -> str:
    """Return the fields that say what is fetched, for messages."""
    model = resource.spec.model
    at = f" at model.revision {model.revision}" if model.source.startswith("hf://") else ""
    return f"model.source {model.source}{at}"


def where_of(resource: Resource) -> str:
    """Return the field that says where a claim comes from, for messages."""
    cache = resource.spec.cache.weights
    if cache.claim_name:
        return f"cache.weights.claimName {cache.claim_name}"
    name = cache.storage_class_name or "is not set, so the cluster's default class counts"
    return f"cache.weights.storageClassName {name} ({cache.access_mode}, {cache.size})"


def _from_folder(path: str, allowed_host_paths: tuple[str, ...]) -> Weights:
    """A folder of the image, or of the host where the installation allows that path."""
    if not _is_allowed(path, allowed_host_paths):
        return Weights(path)
    return Weights(
        path,
        volumes=({"name": VOLUME, "hostPath": {"path": path, "type": "Directory"}},),
        mounts=(_read_only(path),),
    )


def _is_allowed(path: str, allowed_host_paths: tuple[str, ...]) -> bool:
    if ".." in path.split("/"):
        return False
    # With the slash: /srv/models must not allow /srv/models-of-others.
    return any(path == allowed or path.startswith(f"{allowed}/") for allowed in allowed_host_paths)


def _from_claim(rest: str) -> Weights:
    claim, _, path = rest.partition("/")
    return Weights(
        f"{MOUNT}/{path}".rstrip("/"),
        volumes=({"name": VOLUME, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},),
        mounts=(_read_only(MOUNT),),
    )


def _from_image(reference: str) -> Weights:
    """An image that contains the checkpoint at its root; the kubelet pulls it like the server's."""
    return Weights(
        MOUNT,
        volumes=({"name": VOLUME, "image": {"reference": reference, "pullPolicy": "IfNotPresent"}},),
        mounts=(_read_only(MOUNT),),
        needs_image_volumes=True,
    )


def _cached_in_claim(resource: Resource, region: Region) -> Weights:
    cache, key = resource.spec.cache.weights, resource.key
    path = f"{MOUNT}/{_folder(resource.spec.model)}"
    own = {
        "accessModes": [cache.access_mode],
        "resources": {"requests": {"storage": cache.size}},
        **({"storageClassName": cache.storage_class_name} if cache.storage_class_name else {}),
    }
    kind_of_storage = f"{cache.storage_class_name}/{cache.access_mode}"
    name = cache.claim_name or names.claim_name(key.name, region.name, kind_of_storage)
    # Beside the folder of a claim that users have made lie others' files.
    flags = () if cache.claim_name else ("--evict",)
    return Weights(
        path,
        volumes=({"name": VOLUME, "persistentVolumeClaim": {"claimName": name}},),
        mounts=(_read_only(MOUNT),),
        claim=Claim(name, None if cache.claim_name else own, _download(resource.spec.model, path, *flags)),
    )


def _cached_on_host(model: Model, path: str, allowed_host_paths: tuple[str, ...]) -> Weights:
    """Each node has a cache, so each pod fetches; on a node that has the weights nothing is downloaded."""
    model_path = f"{MOUNT}/{_folder(model)}"
    allowed = ", ".join(allowed_host_paths) or "none"
    text = (
        f"cache.weights.path {path} is not below a host path that the installation allows ({allowed}): have it added to"
        " the chart's allowedHostPaths, or use another type"
    )
    if not _is_allowed(path, allowed_host_paths):
        # Not even in a Deployment at zero, which others may scale.
        return Weights(model_path, refusal=("HostPathForbidden", text))
    return Weights(
        model_path,
        volumes=({"name": VOLUME, "hostPath": {"path": path, "type": "Directory"}},),
        mounts=(_read_only(MOUNT),),
        download=_download(model, model_path),
    )


def _folder(model: Model) -> str:
    """Return a folder of its own for each source and revision: another revision leaves this one as it is."""
    readable = f"{model.source.rpartition('/')[2]}-{model.revision}".replace("/", "-")[:40]
    return f"{readable}-{names.weights_key(model.source, model.revision)[:8]}"


def _download(model: Model, target: str, *flags: str) -> Download:
    keys = SECRET_KEYS[model.source.partition("://")[0]] if model.secret_ref else ()
    env = tuple(
        {"name": variable, "valueFrom": {"secretKeyRef": _key(model, key, is_required=is_required)}}
        for variable, key, is_required in keys
    )
    arguments = ("--source", model.source, "--revision", model.revision, "--target", target)
    return Download(
        arguments=("fetch", *arguments, *flags, "--error-file", TERMINATION_LOG),
        env=env,
        mounts=({"name": VOLUME, "mountPath": MOUNT}, {"name": "tmp", "mountPath": "/tmp"}),  # noqa: S108
    )


def _key(model: Model, key: str, *, is_required: bool) -> dict[str, Any]:
    name = model.secret_ref.name if model.secret_ref else ""
    return {"name": name, "key": key} | ({} if is_required else {"optional": True})


def _read_only(path: str) -> dict[str, Any]:
    return {"name": VOLUME, "mountPath": path, "readOnly": True}
