"""`voxfleet doctor` against a real API server, with an operator that works."""

import json
import os
from typing import Any

from typer.testing import CliRunner, Result
from voxfleet_cli.__main__ import app
from voxfleet_operator import names

World = Any

SPEC: dict[str, Any] = {"model": {"source": "file:///models/tiny"}, "regions": [{"name": "eu-central"}]}


def run(world: World, *options: str) -> Result:
    kubeconfig = world.operator.environment["VOXFLEET_KUBECONFIG"]
    where = ["--system-namespace", world.system_namespace, "--demand-namespace", world.demand_namespace]
    return CliRunner().invoke(app, ["doctor", *where, "--kubeconfig", kubeconfig, *options], catch_exceptions=False)


def states(result: Result) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(result.stdout):
        found.setdefault(each["check"], []).append((each["state"], each["text"]))
    return found


def test_what_is_missing_is_found_and_what_is_there_is_right(world: World) -> None:
    # A name of its own: a resource that another test left behind may have the usual one.
    world.apply(SPEC | {"model": SPEC["model"] | {"name": world.namespace}})
    world.settled("Asleep")
    name = f"{world.namespace}/narrator"
    result = run(world, "--output", "json")
    assert result.exit_code == 4
    found = states(result)
    assert found["CRD"] == [("ok", "voxttsdeployments.voxfleet.dev v1alpha1 has every field that this command reads")]
    assert found["Kubernetes"][0][0] == "ok"
    assert (found["operator"][0][0], found["gateways"][0][0]) == ("failure", "failure")
    assert ("ok", f"{name} is ready") in found["resources"]
    assert any(state == "failure" and name in text for state, text in found["region nodes"])
    assert found["your rights"] == [("ok", "you may use every command")]
    assert found["operator's rights"][0][0] == "failure"  # its account has no role here
    assert not any(name in text for _, text in found["demand Leases"])
    assert not any(name in text for _, text in found["NetworkPolicies"])
    assert found["clocks"][0][0] == "ok"
    node = f"node-{os.urandom(4).hex()}"
    labels = {"topology.kubernetes.io/region": "eu-central"}
    world.api.apply(
        f"/api/v1/nodes/{node}", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels}}
    )
    allocatable = {"status": {"allocatable": {"nvidia.com/gpu": "4"}, "capacity": {"nvidia.com/gpu": "4"}}}
    world.api.request("PATCH", f"/api/v1/nodes/{node}/status", allocatable, "application/merge-patch+json")
    lease = world.api.get(world.lease_path())
    assert lease["metadata"]["labels"][names.LABEL_REGION] == "eu-central"
    try:
        found = states(run(world, "--output", "json"))
        assert ("ok", f"region eu-central of {name}: 4 nvidia.com/gpu on 1 nodes") in found["GPUs"]
    finally:
        world.api.delete(f"/api/v1/nodes/{node}")
    problems = run(world, "--problems")
    assert "$ kubectl label node NODE topology.kubernetes.io/region=eu-central" in problems.stdout
    assert f"{name} is ready" not in problems.stdout
