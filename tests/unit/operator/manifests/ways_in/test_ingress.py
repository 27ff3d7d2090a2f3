"""Ingresses: where they are, what they lead to, and what each controller needs in order to stream."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.decisions.ways_in import Way, WaysIn
from voxfleet_operator.manifests import Entry, Installation, Manifest
from voxfleet_operator.manifests.ways_in import ways_in_objects
from voxfleet_operator.resources import Resource

Resources = Callable[..., Resource]
INGRESS = WaysIn(frozenset({Way.INGRESS}))


def made(resource: Resource, installation: Installation, **entry: Any) -> Manifest:
    (found,) = ways_in_objects(resource, INGRESS, replace(installation, entry=Entry(**entry)))
    return found


def annotations_of(manifest: Manifest) -> dict[str, str]:
    found: dict[str, str] = manifest.body["metadata"]["annotations"]
    return {name: value for name, value in found.items() if name != "voxfleet.dev/uid"}


def test_it_is_beside_the_gateways_service_and_collected_by_uid(
    resource: Resources, installation: Installation
) -> None:
    asked = {"host": "tts.example.com", "className": "nginx", "tlsSecretName": "tts-tls"}
    found = made(resource(ingress=asked), installation)
    assert found.ref.namespace == "voxfleet-system"
    assert found.ref.name.startswith("default-narrator-"), "resources of two namespaces may have one name"
    metadata, spec = found.body["metadata"], found.body["spec"]
    assert (metadata["annotations"]["voxfleet.dev/uid"], "ownerReferences" in metadata) == ("u1", False)
    assert spec["tls"] == [{"hosts": ["tts.example.com"], "secretName": "tts-tls"}]
    assert spec["ingressClassName"] == "nginx"
    (rule,) = spec["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert (rule["host"], backend) == ("tts.example.com", {"name": "voxfleet-gateway", "port": {"number": 6006}})


@pytest.mark.parametrize(
    ("class_name", "key", "value"),
    [
        ("nginx", "nginx.ingress.kubernetes.io/proxy-buffering", "off"),
        ("nginx-internal", "nginx.ingress.kubernetes.io/proxy-read-timeout", "3600"),
        ("nginx", "nginx.ingress.kubernetes.io/proxy-body-size", "17m"),
        ("haproxy", "haproxy.org/timeout-server", "3600s"),
        ("haproxy", "haproxy-ingress.github.io/timeout-tunnel", "3600s"),
        ("alb", "alb.ingress.kubernetes.io/load-balancer-attributes", "idle_timeout.timeout_seconds=3600"),
        ("gce-internal", "kubernetes.io/ingress.class", "gce-internal"),
    ],
)
def test_a_controller_streams(
    resource: Resources, installation: Installation, class_name: str, key: str, value: str
) -> None:
    found = made(resource(ingress={"host": "tts.example.com", "className": class_name}), installation)
    assert annotations_of(found)[key] == value
    assert {name.partition("/")[0].split(".")[0] for name in annotations_of(found)} <= {
        key.partition("/")[0].split(".")[0],
        "haproxy-ingress",
        "haproxy",
    }, "no annotation of another controller"
    is_annotated = class_name.startswith("gce")
    assert ("ingressClassName" in found.body["spec"]) != is_annotated


@pytest.mark.parametrize("asked", [{}, {"className": "public"}])
def test_a_class_of_an_unknown_name_gets_what_any_controller_may_need(
    resource: Resources, installation: Installation, asked: dict[str, str]
) -> None:
    found = annotations_of(made(resource(ingress={"host": "tts.example.com", **asked}), installation))
    assert {name.partition("/")[0] for name in found} == {
        "nginx.ingress.kubernetes.io",
        "haproxy.org",
        "haproxy-ingress.github.io",
        "alb.ingress.kubernetes.io",
    }


@pytest.mark.parametrize(
    ("class_name", "key", "value"),
    [
        ("traefik", "traefik.ingress.kubernetes.io/router.tls", "true"),
        ("traefik-internal", "traefik.ingress.kubernetes.io/router.tls", "true"),
        ("gce", "kubernetes.io/ingress.allow-http", "false"),
    ],
)
def test_an_ingress_with_a_certificate_is_not_served_in_the_clear(
    resource: Resources, installation: Installation, class_name: str, key: str, value: str
) -> None:
    asked = {"host": "tts.example.com", "className": class_name}
    without = annotations_of(made(resource(ingress=asked), installation))
    found = annotations_of(made(resource(ingress=asked | {"tlsSecretName": "tts-tls"}), installation))
    assert found == without | {key: value}


def test_gateways_that_speak_tls_are_called_by_tls(resource: Resources, installation: Installation) -> None:
    asked = resource(ingress={"host": "tts.example.com", "className": "nginx"})
    key = "nginx.ingress.kubernetes.io/backend-protocol"
    assert key not in annotations_of(made(asked, installation))
    assert annotations_of(made(asked, installation, gateway_tls=True))[key] == "HTTPS"


def test_the_installations_annotations_are_the_last(resource: Resources, installation: Installation) -> None:
    own = {"nginx.ingress.kubernetes.io/proxy-read-timeout": "60", "cert-manager.io/cluster-issuer": "letsencrypt"}
    asked = resource(ingress={"host": "tts.example.com", "className": "nginx"})
    assert own.items() <= annotations_of(made(asked, installation, annotations=own)).items()
