"""`voxfleet report` against a real API server, with an operator that works and secrets around it."""

import json
import tarfile
from pathlib import Path
from typing import Any

from typer.testing import CliRunner
from voxfleet_cli.__main__ import app

World = Any
SECRET = "vf-Zq7kP0_xT9aLrBv3MnQeYwUiOp5sDfGhJk"
SPEC: dict[str, Any] = {
    "model": {"source": f"hf://openbmb/{SECRET}"},
    "regions": [{"name": "eu-central"}],
    "podTemplate": {"env": [{"name": "KEY", "value": SECRET}]},
}


def contents(target: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(target) as tar:
        for each in tar.getmembers():
            file = tar.extractfile(each)
            assert file is not None
            found[each.name.partition("/")[2]] = file.read().decode()
    return found


def test_a_bundle_has_the_state_of_everything_and_no_secret(world: World, tmp_path: Path) -> None:
    world.apply(SPEC, annotations={"note": SECRET})
    world.settled("Asleep")
    world.pod_failed(world.pod("pod-1"), f"no access with {SECRET}", restarts=1)
    target = tmp_path / "bundle.tar.gz"
    kubeconfig = world.operator.environment["VOXFLEET_KUBECONFIG"]
    where = ["--system-namespace", world.system_namespace, "--demand-namespace", world.demand_namespace]
    command = ["report", "-o", str(target), *where, "--kubeconfig", kubeconfig]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    files = contents(target)
    assert all(name in result.stdout for name in files)
    assert not [name for name, text in files.items() if SECRET in text or "openbmb" in text]
    resources = {each["metadata"]["namespace"]: each for each in json.loads(files["resources.json"])}
    found = resources[world.namespace]
    assert [each["name"] for each in found["status"]["regions"]] == ["eu-central"]
    assert found["spec"]["podTemplate"] is True
    leases = {each["metadata"]["name"]: each for each in json.loads(files["leases.json"])}
    lease = leases[world.lease_path().rpartition("/")[2]]
    assert lease["spec"]["leaseDurationSeconds"] == 1800
    (pod,) = (each for each in json.loads(files["pods.json"]) if each["metadata"]["namespace"] == world.namespace)
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert json.loads(files["versions.json"])["kubernetes"].startswith("v1.")
    assert json.loads(files["doctor.json"])
    assert target.stat().st_mode & 0o077 == 0
