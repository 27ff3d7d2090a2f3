"""Builds Ingresses, to the gateways and to a notebook, with what each controller needs in order to stream.

Knows the annotations of the controllers, as one table. A controller ignores those of others, so a class whose name is
not known gets all of them. Does not know whether the host is allowed (decisions/ways_in.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxfleet_operator import names
from voxfleet_operator.kinds import NOTEBOOK_INGRESS
from voxfleet_operator.manifests.manifest import Installation, Manifest, manifest_of
from voxfleet_operator.manifests.pods.containers import API_PORT
from voxfleet_operator.resources import Resource

# A held request or a WebSocket may be silent for so long: the largest spec.gateway.holdSeconds.
STREAM_SECONDS = 3600
# Of a recording in a request; the gateways refuse bodies of more than 16 MiB themselves (VOXFLEET_MAX_BODY_BYTES).
BODY_MEBIBYTES = 17
HEALTH_PATH = "/health/ready"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


@dataclass(frozen=True, slots=True)
class Controller:
    """What an ingress controller needs. `certificate`: more, where the Ingress has one; `tls`: where the backend has.

    `is_class_annotated`: it reads its class from an annotation instead of spec.ingressClassName.
    """

    streaming: Mapping[str, str]
    certificate: Mapping[str, str] = field(default_factory=dict)
    tls: Mapping[str, str] = field(default_factory=dict)
    is_class_annotated: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What an Ingress asks of its controller besides streaming."""

    has_certificate: bool = False
    is_backend_tls: bool = False


NGINX, HAPROXY, ALB = "nginx.ingress.kubernetes.io", "haproxy.org", "alb.ingress.kubernetes.io"
TRAEFIK = "traefik.ingress.kubernetes.io"
# By the beginning of the class' name.
CONTROLLERS: dict[str, Controller] = {
    # It buffers answers and bodies, and ends a silent connection after 60 s.
    "nginx": Controller(
        {
            f"{NGINX}/proxy-buffering": "off",
            f"{NGINX}/proxy-request-buffering": "off",
            f"{NGINX}/proxy-read-timeout": str(STREAM_SECONDS),
            f"{NGINX}/proxy-send-timeout": str(STREAM_SECONDS),
            f"{NGINX}/proxy-body-size": f"{BODY_MEBIBYTES}m",
        },
        tls={f"{NGINX}/backend-protocol": "HTTPS"},
    ),
    # It streams, without a limit on answers; its limits are of entry points, so no Ingress can set them. TLS to the
    # backend is an annotation of the Service, which the chart sets: Traefik reads appProtocol for HTTPRoutes alone. An
    # Ingress with a certificate is served in the clear without the annotation, and by TLS only where the entry point
    # says so itself.
    "traefik": Controller({}, certificate={f"{TRAEFIK}/router.tls": "true"}),
    # Both projects: haproxytech/kubernetes-ingress and jcmoraisjr/haproxy-ingress.
    "haproxy": Controller(
        {
            f"{HAPROXY}/timeout-server": f"{STREAM_SECONDS}s",
            f"{HAPROXY}/timeout-tunnel": f"{STREAM_SECONDS}s",
            "haproxy-ingress.github.io/timeout-server": f"{STREAM_SECONDS}s",
            "haproxy-ingress.github.io/timeout-tunnel": f"{STREAM_SECONDS}s",
        },
        tls={f"{HAPROXY}/server-ssl": "true", "haproxy-ingress.github.io/secure-backends": "true"},
    ),
    # It ends a silent connection after 60 s. Addresses of pods are targets: a Service needs no node port.
    "alb": Controller(
        {
            f"{ALB}/load-balancer-attributes": f"idle_timeout.timeout_seconds={STREAM_SECONDS}",
            f"{ALB}/target-type": "ip",
            f"{ALB}/healthcheck-path": HEALTH_PATH,
        },
        tls={f"{ALB}/backend-protocol": "HTTPS", f"{ALB}/healthcheck-protocol": "HTTPS"},
    ),
    # Its limit of 30 s is set by a BackendConfig that the Service names (docs/ways-in.md).
    # It opens port 80 beside a certificate's 443, without a redirect.
    "gce": Controller({}, certificate={"kubernetes.io/ingress.allow-http": "false"}, is_class_annotated=True),
}


def controllers_of(class_name: str | None) -> tuple[Controller, ...]:
    """Return the controller of a class by its name, and all of them for a name that is not in the table."""
    known = tuple(each for prefix, each in CONTROLLERS.items() if class_name and class_name.startswith(prefix))
    return known or tuple(each for each in CONTROLLERS.values() if not each.is_class_annotated)


def gateway_ingress(resource: Resource, installation: Installation) -> Manifest:
    """Return the Ingress to the gateways, in their namespace: a backend must be a Service beside its Ingress."""
    key, asked, entry = resource.key, resource.spec.ingress, installation.entry
    labels = names.resource_labels(key.namespace, key.name) | {names.LABEL_COMPONENT: names.GATEWAY}
    spec = ingress_spec(str(asked.host), asked.class_name, asked.tls_secret_name, (entry.gateway_service, API_PORT))
    needs = Needs(has_certificate=asked.tls_secret_name is not None, is_backend_tls=entry.gateway_tls)
    annotations = ingress_annotations(asked.class_name, installation, needs)
    name = names.way_in_name(key.namespace, key.name)
    return manifest_of(resource, installation, "Ingress", name, labels, annotations=annotations, spec=spec)


def notebook_ingress(resource: Resource, host: str, port: int, installation: Installation) -> Manifest:
    """Return the Ingress of a notebook, in the resource's namespace, where the Secret with its certificate is."""
    key, asked = resource.key, resource.spec.notebook
    name, class_name = names.notebook_name(key.name), resource.spec.ingress.class_name
    labels = names.notebook_labels(key.namespace, key.name)
    spec = ingress_spec(host, class_name, asked.tls_secret_name, (name, port))
    needs = Needs(has_certificate=asked.tls_secret_name is not None)
    annotations = ingress_annotations(class_name, installation, needs)
    return manifest_of(resource, installation, NOTEBOOK_INGRESS, name, labels, annotations=annotations, spec=spec)


def ingress_annotations(class_name: str | None, installation: Installation, needs: Needs) -> dict[str, str]:
    """Return the annotations of a class' controller, and over them those of the installation."""
    annotations: dict[str, str] = {}
    for controller in controllers_of(class_name):
        annotations |= controller.streaming
        annotations |= controller.certificate if needs.has_certificate else {}
        annotations |= controller.tls if needs.is_backend_tls else {}
    annotations |= {CLASS_ANNOTATION: class_name} if class_name and _is_annotated(class_name) else {}
    return annotations | dict(installation.entry.annotations)


def ingress_spec(host: str, class_name: str | None, secret: str | None, backend: tuple[str, int]) -> dict[str, Any]:
    """Return the spec of an Ingress that sends all requests for a host to a port of a Service."""
    service = {"name": backend[0], "port": {"number": backend[1]}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    spec: dict[str, Any] = {"rules": [{"host": host, "http": {"paths": [path]}}]}
    spec |= {"tls": [{"hosts": [host], "secretName": secret}]} if secret else {}
    return spec | ({"ingressClassName": class_name} if class_name and not _is_annotated(class_name) else {})


def _is_annotated(class_name: str) -> bool:
    return any(each.is_class_annotated for each in controllers_of(class_name))
