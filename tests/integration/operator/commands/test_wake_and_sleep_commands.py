"""`voxfleet wake` and `voxfleet sleep` against the operator and a real API server."""

import json
import threading
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from voxfleet_cli.__main__ import app
from voxfleet_cli.errors import CliError
from voxfleet_operator import names

World = Any

SPEC: dict[str, Any] = {
    "model": {"source": "file:///models/tiny"},
    "regions": [{"name": "eu-central"}],
    "gpu": {"count": 0},
    "autoscaling": {"idleTimeoutSeconds": 600},
}


def run(world: World, command: str, *options: str) -> Result:
    kubeconfig = world.operator.environment["VOXFLEET_KUBECONFIG"]
    where = ["-n", world.namespace, "--demand-namespace", world.demand_namespace, "--kubeconfig", kubeconfig]
    return CliRunner().invoke(app, [command, "narrator", *where, *options], catch_exceptions=False)


def awake(world: World, **autoscaling: Any) -> str:
    """A region that a user woke, with its pod's path."""
    world.apply({**SPEC, "autoscaling": {**SPEC["autoscaling"], **autoscaling}})
    world.settled("Waking" if autoscaling.get("minReplicas") else "Asleep")
    woken: list[Result] = []
    command = threading.Thread(target=lambda: woken.append(run(world, "wake", "--wait", "--timeout", "60")))
    command.start()
    world.settled("Waking")
    path: str = world.pod("pod-1")
    world.set_load("10.9.9.9")
    world.pod_ready(path)
    command.join()
    (result,) = woken
    assert (result.exit_code, "region eu-central: awake after" in result.stdout) == (0, True), result.output
    return path


def test_a_region_wakes_and_sleeps_when_a_user_asks(world: World) -> None:
    path = awake(world)
    asked = run(world, "sleep")
    assert (asked.exit_code, asked.stdout) == (0, "region eu-central: asked to sleep\n")
    world.until(lambda: world.replicas() == 0, "replicas 0")
    world.delete_pod(path)
    slept = run(world, "sleep", "--wait", "--output", "json")
    assert slept.exit_code == 0
    assert [each["outcome"] for each in json.loads(slept.stdout)] == ["asleep"]
    world.settled("Asleep")
    assert "as a user asked" in world.status()["regions"][0]["message"]
    annotations = world.api.get(world.lease_path())["metadata"]["annotations"]
    assert names.ANNOTATION_SLEEP_AT in annotations
    assert run(world, "wake").stdout == "region eu-central: asked to wake\n"
    world.settled("Waking")
    left = (names.ANNOTATION_SLEEP_AT, names.ANNOTATION_ASLEEP_SINCE)
    world.until(
        lambda: not set(left) & (world.api.get(world.lease_path())["metadata"].get("annotations") or {}).keys(),
        "the void request is cleared",
    )


def test_open_requests_end_first_and_a_new_one_keeps_the_region(world: World) -> None:
    awake(world)
    world.set_load("10.9.9.9", open_requests=1)
    world.until_polled(2)
    waiting: list[Result] = []
    command = threading.Thread(target=lambda: waiting.append(run(world, "sleep", "--wait", "--timeout", "60")))
    command.start()
    lease = world.lease_path()
    world.until(
        lambda: names.ANNOTATION_SLEEP_AT in (world.api.get(lease)["metadata"].get("annotations") or {}), "asked"
    )
    world.until_polled(4)
    assert world.replicas() == 1
    world.renew()
    command.join()
    assert waiting[0].exit_code == 3
    assert "kept awake" in waiting[0].stdout
    assert "a request came" in waiting[0].stdout


def test_a_minimum_is_named_with_the_way_out(world: World) -> None:
    awake(world, minReplicas=1)
    refused = run_failing(world, "sleep")
    assert "never sleeps: autoscaling.minReplicas is 1; set it to 0" in refused
    # Another writer, such as the fleet page, may ask all the same.
    annotation = {"metadata": {"annotations": {names.ANNOTATION_SLEEP_AT: "2099-01-01T00:00:00.000000Z"}}}
    world.api.request("PATCH", world.lease_path(), annotation, "application/merge-patch+json")
    world.until_polled(4)
    assert world.replicas() == 1


def run_failing(world: World, command: str) -> str:
    with pytest.raises(CliError) as raised:
        run(world, command)
    return str(raised.value)
