"""A resource, its objects and its pod, as the manifests of one installation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.decisions.capacity.pools import PoolReplicas
from voxfleet_operator.decisions.plans import RegionPlan
from voxfleet_operator.decisions.resource_plan import ResourcePlan
from voxfleet_operator.manifests import Installation, Manifest, desired_objects
from voxfleet_operator.manifests.pods.containers import PodSettings
from voxfleet_operator.resources import Phase, Resource, read_resource

SETTINGS = PodSettings("localhost/voxfleet-inference:test", "IfNotPresent", "key")
INSTALLATION = Installation("voxfleet-system", "voxfleet-demand", "gw.voxfleet-system.svc", SETTINGS, ("/srv/models",))


def _resource(**spec: Any) -> Resource:
    metadata = {
        "namespace": "default",
        "name": "narrator",
        "uid": "u1",
        "generation": 4,
        "creationTimestamp": "2026-11-23T20:00:00Z",
    }
    return read_resource({"metadata": metadata, "spec": {"regions": [{"name": "eu"}], **spec}})


def _made(
    of: Resource,
    phase: Phase = Phase.ASLEEP,
    replicas: int = 0,
    installation: Installation = INSTALLATION,
    **plan: Any,
) -> list[Manifest]:
    plans = {
        region.name: RegionPlan(
            region.name, phase, replicas, reason=str(phase), pools=PoolReplicas(on_demand=replicas), **plan
        )
        for region in of.spec.regions
    }
    return desired_objects(of, ResourcePlan(plans), installation, owned_names=frozenset(of.model_names))


def _pod(of: Resource, *, voice_source: str = "") -> dict[str, Any]:
    installation = replace(INSTALLATION, pod=replace(SETTINGS, voice_source=voice_source))
    deployment = next(
        manifest.body for manifest in _made(of, installation=installation) if manifest.kind == "Deployment"
    )
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture
def resource() -> Callable[..., Resource]:
    return _resource


@pytest.fixture
def made() -> Callable[..., list[Manifest]]:
    return _made


@pytest.fixture
def pod() -> Callable[[Resource], dict[str, Any]]:
    """The pod spec of a resource's first region."""
    return _pod


@pytest.fixture
def installation() -> Installation:
    return INSTALLATION
