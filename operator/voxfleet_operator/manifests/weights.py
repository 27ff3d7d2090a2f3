"""Provides a pod with weights: from the image, a host folder, a claim, or a download.

Knows the schemes of model.source. Does not know the rest of the pod.
"""

from dataclasses import dataclass
from typing import Any

from voxfleet_operator.resources import VoxTTSDeploymentSpec

VOLUME = "weights"
MOUNT = "/weights"


@dataclass(frozen=True, slots=True)
class Download:
    """What the fetcher, an init container of the server's image, needs to download the weights."""

    arguments: tuple[str, ...]
    env: tuple[dict[str, Any], ...]
    mounts: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Weights:
    """The server's --model-path, the volumes and mounts that it needs, and the download before it."""

    model_path: str
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    download: Download | None = None


def weights_of(spec: VoxTTSDeploymentSpec, allowed_host_paths: tuple[str, ...]) -> Weights:
    """Return the weights for the scheme of model.source."""
    scheme, _, rest = spec.model.source.partition("://")
    if scheme == "file":
        return _from_folder(rest, allowed_host_paths)
    if scheme == "pvc":
        return _from_claim(rest)
    return _downloaded(spec)


def _from_folder(path: str, allowed_host_paths: tuple[str, ...]) -> Weights:
    """A folder of the image, or of the host where the installation allows that path."""
    # With the slash: /srv/models must not allow /srv/models-of-others.
    if not any(path == allowed or path.startswith(f"{allowed}/") for allowed in allowed_host_paths):
        return Weights(path)
    return Weights(
        path,
        volumes=({"name": VOLUME, "hostPath": {"path": path, "type": "Directory"}},),
        mounts=({"name": VOLUME, "mountPath": path, "readOnly": True},),
    )


def _from_claim(rest: str) -> Weights:
    claim, _, path = rest.partition("/")
    return Weights(
        f"{MOUNT}/{path}".rstrip("/"),
        volumes=({"name": VOLUME, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},),
        mounts=({"name": VOLUME, "mountPath": MOUNT, "readOnly": True},),
    )


def _downloaded(spec: VoxTTSDeploymentSpec) -> Weights:
    """Into an emptyDir, which the server mounts read-only."""
    model = spec.model
    token: list[dict[str, Any]] = []
    if model.secret_ref is not None:
        reference = {"name": model.secret_ref.name, "key": "token"}
        token = [{"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": reference}}]
    download = Download(
        arguments=("fetch", "--source", model.source, "--revision", model.revision, "--target", MOUNT),
        env=tuple(token),
        mounts=({"name": VOLUME, "mountPath": MOUNT}, {"name": "tmp", "mountPath": "/tmp"}),  # noqa: S108
    )
    return Weights(
        MOUNT,
        volumes=({"name": VOLUME, "emptyDir": {}},),
        mounts=({"name": VOLUME, "mountPath": MOUNT, "readOnly": True},),
        download=download,
    )
