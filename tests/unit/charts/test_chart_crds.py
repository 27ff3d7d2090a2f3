"""The CRD chart has the definition that `make crds` generated, and keeps it when the chart is uninstalled."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from voxfleet_testbed.settings import REPOSITORY

Manifest = dict[str, Any]
GENERATED = REPOSITORY / "crds" / "voxfleet.dev_voxttsdeployments.yaml"
CARRIED = REPOSITORY / "charts" / "voxfleet-crds" / "files" / GENERATED.name


def test_the_charts_copy_equals_the_generated_file() -> None:
    assert CARRIED.read_bytes() == GENERATED.read_bytes(), "stale; run `make crds`"


def test_it_renders_the_definition_unchanged_and_keeps_it(render: Callable[..., list[Manifest]]) -> None:
    (rendered,) = render(chart="voxfleet-crds")
    generated = yaml.safe_load(GENERATED.read_text())
    assert rendered["spec"] == generated["spec"]
    assert rendered["metadata"]["name"] == generated["metadata"]["name"]
    assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_it_takes_no_values(template: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    refused = template({"keep": False}, chart="voxfleet-crds")
    assert refused.returncode != 0
    assert "'keep' not allowed" in refused.stderr


@pytest.mark.parametrize("chart", ["voxfleet", "voxfleet-crds"])
def test_helm_lint_finds_nothing(helm: Callable[..., subprocess.CompletedProcess[str]], chart: str) -> None:
    linted = helm("lint", "--strict", "--kube-version", "1.34.4", str(REPOSITORY / "charts" / chart))
    assert linted.returncode == 0, linted.stdout


def test_an_old_cluster_is_rejected_with_the_version_it_needs(
    template: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    refused = template(kubernetes="1.30.4")
    assert refused.returncode != 0
    assert ">=1.31.0" in refused.stderr
