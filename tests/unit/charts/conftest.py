"""The charts rendered by the testbed's pinned helm: tests assert the rendered manifests, not the templates."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import REPOSITORY, Settings

CHARTS = REPOSITORY / "charts"
REGIONS = {"gateway": {"regions": [{"name": "eu-central"}, {"name": "us-east", "replicas": 1}]}}

Manifest = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Manifest]]


@pytest.fixture(scope="session")
def helm_path(testbed_settings: Settings) -> Path:
    programs = find_programs(testbed_settings)
    with skipping(testbed_settings):
        build(programs, ["helm"])
    return programs.path("helm")


@pytest.fixture(scope="session")
def helm(helm_path: Path) -> Helm:
    def run(*arguments: str, values: Manifest | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(helm_path), *arguments, *(["--values", "-"] if values is not None else [])]
        return subprocess.run(
            command, input=json.dumps(values or {}), capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def template(helm: Helm) -> Helm:
    """Run `helm template` of a chart with values; returns the process also when it failed."""

    def run(
        values: Manifest | None = None, chart: str = "voxfleet", kubernetes: str = "1.34.4", api_versions: str = ""
    ) -> subprocess.CompletedProcess[str]:
        where = ("--namespace", "voxfleet-system", "--kube-version", kubernetes)
        served = ("--api-versions", api_versions) if api_versions else ()
        return helm("template", "voxfleet", str(CHARTS / chart), *where, *served, values=values or {})

    return run


@pytest.fixture(scope="session")
def render(template: Helm) -> Render:
    """Render a chart with values; returns its manifests."""

    def run(values: Manifest | None = None, **options: str) -> list[Manifest]:
        rendered = template(values, **options)
        assert rendered.returncode == 0, rendered.stderr
        return [document for document in yaml.safe_load_all(rendered.stdout) if document]

    return run


@pytest.fixture(scope="session")
def manifests(render: Render) -> list[Manifest]:
    """The manifests of the voxfleet chart for two regions, with all other values at their defaults."""
    return render(REGIONS)
