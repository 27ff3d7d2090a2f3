"""Builds a resource's notebook: Jupyter Lab in a pod of its own, always on, which calls the gateways as a client.

Knows that it is no sidecar: it runs on a CPU, survives the sleep of every region, and its cells wake one by a request.
It has no account in the cluster, and is offered by TLS only: of an Ingress, or its own. Does not know how the token is
generated (cluster/ways_in.py).
"""

from typing import Any

from voxfleet_operator import names
from voxfleet_operator.manifests.manifest import Installation, Manifest, manifest_of
from voxfleet_operator.manifests.pods.containers import API_PORT, HOME, hardened
from voxfleet_operator.manifests.pods.pod import identity
from voxfleet_operator.manifests.ways_in.ingress import notebook_ingress
from voxfleet_operator.manifests.ways_in.network_policies import NOTEBOOK_PORT, notebook_policy
from voxfleet_operator.resources import PodTemplate, Resource

FILES = "files"  # the claim template: the claim is files-<name>-notebook-0
FOLDER = f"{HOME}/files"
TLS_FOLDER = "/var/run/voxfleet/tls"
TOKEN_KEY = "token"  # noqa: S105 - a key's name
# Where the image has Jupyter Lab (inference/Dockerfile, JUPYTER=install).
PACKAGES = "/opt/voxfleet/notebook-packages"
SERVER_PACKAGES = "/opt/voxfleet/site-packages"  # NumPy, which the examples' cells import
RESOURCES = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}


def notebook_objects(resource: Resource, installation: Installation) -> list[Manifest]:
    """Return the policy before the pod, so that it never runs without one."""
    asked = resource.spec.notebook
    objects = [
        notebook_policy(resource, installation),
        _service(resource, installation),
        _stateful_set(resource, installation),
    ]
    return [*objects, notebook_ingress(resource, asked.host, NOTEBOOK_PORT, installation)] if asked.host else objects


def token_secret(resource: Resource, token: str) -> tuple[str, dict[str, Any]]:
    """Return where the Secret with the notebook's token is created, and its body; it is never applied or changed."""
    key = resource.key
    name = names.notebook_name(key.name)
    metadata = {
        "namespace": key.namespace,
        "name": name,
        "labels": names.notebook_labels(key.namespace, key.name),
        "ownerReferences": [resource.owner_reference],
    }
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {TOKEN_KEY: token}}
    return f"/api/v1/namespaces/{key.namespace}/secrets", body


def _service(resource: Resource, installation: Installation) -> Manifest:
    key = resource.key
    port = {"name": "https" if _is_own_tls(resource) else "http", "port": NOTEBOOK_PORT, "targetPort": NOTEBOOK_PORT}
    spec = {"type": "ClusterIP", "selector": names.notebook_selector(key.name), "ports": [port | {"protocol": "TCP"}]}
    labels = names.notebook_labels(key.namespace, key.name)
    return manifest_of(resource, installation, "Service", names.notebook_name(key.name), labels, spec=spec)


def _stateful_set(resource: Resource, installation: Installation) -> Manifest:
    key, asked = resource.key, resource.spec.notebook
    name, selector = names.notebook_name(key.name), names.notebook_selector(key.name)
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": asked.size}},
    } | ({"storageClassName": asked.storage_class_name} if asked.storage_class_name else {})
    spec = {
        "replicas": 0 if resource.spec.suspend else 1,
        "serviceName": name,
        "selector": {"matchLabels": selector},
        "template": _pod_template(resource, installation),
        "volumeClaimTemplates": [{"metadata": {"name": FILES, "labels": selector}, "spec": claim}],
        # Files are the user's work: they outlive the notebook, and the resource.
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    labels = names.notebook_labels(key.namespace, key.name)
    return manifest_of(resource, installation, "StatefulSet", name, labels, spec=spec)


def _pod_template(resource: Resource, installation: Installation) -> dict[str, Any]:
    added = PodTemplate(image_pull_secrets=resource.spec.pod_template.image_pull_secrets)
    labels = names.notebook_labels(resource.key.namespace, resource.key.name) | names.notebook_selector(
        resource.key.name
    )
    # Of the servers' pods: their Services, policies and the operator's watch must not take it for one.
    labels.pop(names.LABEL_DEPLOYMENT)
    volumes = [{"name": "tmp", "emptyDir": {}}, {"name": "home", "emptyDir": {}}]
    if _is_own_tls(resource):
        volumes.append({"name": "tls", "secret": {"secretName": str(resource.spec.notebook.tls_secret_name)}})
    return {
        "metadata": {"labels": labels},
        "spec": {
            **identity(added),
            "terminationGracePeriodSeconds": 10,
            "containers": [_container(resource, installation)],
            "volumes": volumes,
        },
    }


def _container(resource: Resource, installation: Installation) -> dict[str, Any]:
    asked, is_own_tls = resource.spec.notebook, _is_own_tls(resource)
    probe = {"httpGet": {"path": "/api", "port": "notebook", "scheme": "HTTPS" if is_own_tls else "HTTP"}}
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod itself
        {"name": "home", "mountPath": HOME},
        {"name": FILES, "mountPath": FOLDER},
        *([{"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True}] if is_own_tls else []),
    ]
    secret = {"name": names.notebook_name(resource.key.name), "key": TOKEN_KEY}
    container = {
        "name": names.NOTEBOOK,
        "command": ["python3", "-m", "jupyterlab"],
        "args": _arguments(is_own_tls=is_own_tls),
        "env": [
            {"name": "HOME", "value": HOME},
            {"name": "PYTHONPATH", "value": f"{PACKAGES}:{SERVER_PACKAGES}"},
            # Jupyter looks for its pages and kernels below Python's prefix, which is another folder.
            {"name": "JUPYTERLAB_DIR", "value": f"{PACKAGES}/share/jupyter/lab"},
            {"name": "JUPYTER_PATH", "value": f"{PACKAGES}/share/jupyter"},
            # Jupyter reads its token from the environment: an argument would show in every list of processes.
            {"name": "JUPYTER_TOKEN", "valueFrom": {"secretKeyRef": secret}},
            {"name": "VOXFLEET_URL", "value": gateway_url(installation)},
            {"name": "VOXFLEET_MODEL", "value": str(resource.key)},
        ],
        "ports": [{"name": "notebook", "containerPort": NOTEBOOK_PORT}],
        "resources": RESOURCES,
        "volumeMounts": mounts,
        "startupProbe": probe | {"periodSeconds": 2, "failureThreshold": 90},
        "readinessProbe": probe | {"periodSeconds": 10},
    }
    image = asked.image or resource.spec.image or installation.pod.image
    return hardened(container, image, installation.pod.pull_policy)


def gateway_url(installation: Installation) -> str:
    """Return where a notebook calls the gateways."""
    return f"{'https' if installation.entry.gateway_tls else 'http'}://{installation.gateway_host}:{API_PORT}"


def _arguments(*, is_own_tls: bool) -> list[str]:
    arguments = [
        "--no-browser",
        "--ServerApp.ip=*",  # every address, of both families
        f"--ServerApp.port={NOTEBOOK_PORT}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={FOLDER}",
        # It is reached by the name of a host or Service; the token protects it, and cookies are its host's alone.
        "--ServerApp.allow_remote_access=True",
    ]
    own = [f"--ServerApp.certfile={TLS_FOLDER}/tls.crt", f"--ServerApp.keyfile={TLS_FOLDER}/tls.key"]
    return arguments + (own if is_own_tls else [])


def _is_own_tls(resource: Resource) -> bool:
    return resource.spec.notebook.host is None
