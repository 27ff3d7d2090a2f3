"""A control plane for the chart tests only, with both charts installed: their objects are cluster-wide."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane, running_control_plane
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

SYSTEM = "voxfleet-system"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/voxttsdeployments.voxfleet.dev"
VALUES = {
    "gateway": {"regions": [{"name": "eu-central"}, {"name": "us-east"}], "replicas": 1},
    "secretNamespaces": ["team-a"],
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server, and helm that is configured for it."""

    api: Api
    kubeconfig: Path
    helm: Path
    environment: dict[str, str]

    def run_helm(self, *arguments: str, values: dict[str, Any] | None = None) -> str:
        finished = subprocess.run(
            [str(self.helm), *arguments, "--namespace", SYSTEM, *(["--values", "-"] if values else [])],
            input=json.dumps(values or {}),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def install(self) -> str:
        """Install or upgrade both charts, the CRD first; returns the output for the second one, with its notes."""
        self.run_helm("upgrade", "--install", "voxfleet-crds", self.chart("voxfleet-crds"))
        self.api.wait_for(CRD, established, 20)
        return self.run_helm("upgrade", "--install", "voxfleet", self.chart("voxfleet"), values=VALUES)

    @staticmethod
    def chart(name: str) -> str:
        return str(REPOSITORY / "charts" / name)

    @staticmethod
    def example(name: str) -> dict[str, Any]:
        return dict(yaml.safe_load((REPOSITORY / "examples" / name).read_text()))

    def may(self, account: str, verb: str, resource: str, namespace: str) -> bool:
        group, _, name = resource.partition("/")
        name, _, subresource = name.partition("/")
        attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource}
        attributes["namespace"] = "" if namespace == "*" else namespace
        user = f"system:serviceaccount:{SYSTEM}:voxfleet-{account}"
        review = self.api.request(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": attributes},
            },
        )
        return bool(review["status"]["allowed"])


def established(definition: dict[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []  # null at first
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


def namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@pytest.fixture(scope="package")
def cluster_with_helm(
    testbed_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[ControlPlane], Cluster]:
    """Return what makes a control plane one that helm is configured for."""
    programs = find_programs(testbed_settings)
    helm_home = tmp_path_factory.mktemp("helm")
    homes = {f"HELM_{kind}_HOME": str(helm_home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    with skipping(testbed_settings):
        build(programs, ["helm"])

    def configure(started: ControlPlane) -> Cluster:
        environment = {**os.environ, **homes, "KUBECONFIG": str(started.kubeconfig)}
        return Cluster(started.api, started.kubeconfig, programs.path("helm"), environment)

    return configure


@pytest.fixture(scope="package")
def installed(testbed_settings: Settings, cluster_with_helm: Callable[[ControlPlane], Cluster]) -> Iterator[Cluster]:
    """Both charts, installed into a namespace that enforces the "restricted" Pod Security Standard."""
    with skipping(testbed_settings), running_control_plane(testbed_settings, controllers=True) as started:
        installed = cluster_with_helm(started)
        started.api.apply(
            f"/api/v1/namespaces/{SYSTEM}", namespace(SYSTEM, {"pod-security.kubernetes.io/enforce": "restricted"})
        )
        started.api.apply("/api/v1/namespaces/team-a", namespace("team-a", {}))
        installed.install()
        yield installed
