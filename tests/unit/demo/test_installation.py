"""What the demo installs, against what the chart and the quickstart allow."""

import json
import stat
from pathlib import Path

import jsonschema
import pytest
import yaml
from voxfleet_demo.installation import CHECKOUT, QUICKSTART, REGIONS, Installation, InstallationError, Programs, Values


def test_the_values_fit_the_charts_schema() -> None:
    schema = json.loads((CHECKOUT / "charts/voxfleet/values.schema.json").read_text())
    images = {part: f"localhost/voxfleet-{part}:testbed" for part in ("operator", "gateway", "inference")}
    values = Values(images, trusted_proxies=("10.0.0.0/8",), allowed_host_paths=("/models",))
    jsonschema.validate(values.document(), schema)
    assert values.document()["gateway"]["extraEnv"] == []
    operated = Values(images, operate_without_key=True).document()
    jsonschema.validate(operated, schema)
    assert operated["gateway"]["extraEnv"] == [{"name": "VOXFLEET_OPERATE_WITHOUT_KEY", "value": "true"}]
    assert values.document()["operator"]["image"] == {"repository": "localhost/voxfleet-operator", "tag": "testbed"}


def test_the_quickstart_names_the_demos_regions() -> None:
    document = yaml.safe_load(QUICKSTART.read_text())
    assert tuple(region["name"] for region in document["spec"]["regions"]) == REGIONS


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Installation, Path]:
    """An installation whose kubectl saves its standard input, and fails on `delete`."""
    kubectl, given = tmp_path / "kubectl", tmp_path / "given"
    kubectl.write_text(f'#!/bin/sh\n[ "$1" = delete ] && echo "no rights" >&2 && exit 1\ncat > {given}\n')
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    return Installation(tmp_path / "kubeconfig", Programs(kubectl=kubectl)), given


def test_the_quickstart_is_applied_with_the_given_fields(recorded: tuple[Installation, Path]) -> None:
    installation, given = recorded
    installation.apply_quickstart("scenario", model="scenario-1", source="file:///weights", idle_timeout_seconds=9)
    (applied,) = json.loads(given.read_text())["items"]
    assert applied["metadata"]["name"] == "scenario"
    assert applied["spec"]["model"] == {"name": "scenario-1", "source": "file:///weights"}
    assert applied["spec"]["autoscaling"]["idleTimeoutSeconds"] == 9


def test_a_failed_command_reports_its_own_error_output(recorded: tuple[Installation, Path]) -> None:
    installation, _ = recorded
    with pytest.raises(InstallationError, match="no rights"):
        installation.delete("scenario")


def test_diagnostics_are_the_pods_and_the_newest_events(tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text('#!/bin/sh\n[ "$2" = pods ] && echo gateway-1 CrashLoopBackOff || seq 1 40\n')
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    lines = Installation(tmp_path / "kubeconfig", Programs(kubectl=kubectl)).diagnostics().splitlines()
    assert lines == ["gateway-1 CrashLoopBackOff", *map(str, range(29, 41))]
