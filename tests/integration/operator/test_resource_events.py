"""The history of a resource in a real API server: what `kubectl describe vtts` shows below "Events"."""

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from voxfleet_operator.resources import KIND
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.settings import Settings

World = Any  # conftest.World: pytest loads test folders without packages, so the class cannot be imported by name


def spec(**autoscaling: Any) -> dict[str, Any]:
    return {"regions": [{"name": "eu-central"}], "autoscaling": autoscaling}


def events(world: World) -> list[dict[str, Any]]:
    """List Events as kubectl does: by the fields of the object that they are about."""
    uid = world.api.get(world.resource_path())["metadata"]["uid"]
    fields = f"involvedObject.kind%3D{KIND},involvedObject.name%3Dnarrator,involvedObject.uid%3D{uid}"
    found = world.api.get(f"/api/v1/namespaces/{world.namespace}/events?fieldSelector={fields}")["items"]
    return list(found)


def event(world: World, reason: str, part: str = "") -> dict[str, Any]:
    """The one Event of a reason, once its message has that part."""

    def found() -> list[dict[str, Any]]:
        return [each for each in events(world) if each["reason"] == reason and part in each["message"]]

    world.until(found, f"an Event {reason} with {part!r}")
    (only,) = found()
    return only


@pytest.fixture(scope="module")
def kubectl(testbed_settings: Settings) -> Path:
    programs = find_programs(testbed_settings)
    with skipping(testbed_settings):
        build(programs, ["kubectl"])
    return programs.path("kubectl")


def run(world: World, kubectl: Path, *words: str) -> str:
    config = world.operator.environment["VOXFLEET_KUBECONFIG"]
    command = [str(kubectl), "--kubeconfig", config, "-n", world.namespace, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def described(world: World, kubectl: Path) -> str:
    """Return what kubectl describe prints below "Events"."""
    return run(world, kubectl, "describe", "vtts", "narrator").partition("\nEvents:")[2]


def last_wake(world: World) -> dict[str, str]:
    return dict(world.status()["regions"][0]["lastWake"])


def slowest(parts: dict[str, str]) -> str:
    """The part that the Event names first, as it is written there: `weights 8.10 s`."""
    name = max(parts, key=lambda each: float(parts[each]))
    words = re.sub("([A-Z])", r" \1", name.removesuffix("Seconds")).lower()
    return f"{words} {parts[name]} s"


def test_a_wake_is_in_the_history_once_with_its_parts_and_no_restart_repeats_it(world: World, kubectl: Path) -> None:
    world.apply(spec())
    world.settled("Asleep")
    world.renew()
    world.settled("Waking")
    pod = world.pod("pod-1")
    world.pod_status(pod, {"conditions": [{"type": "PodScheduled", "status": "True"}]})
    time.sleep(1.0)  # so that a part of the wake is longer than what the server reports of itself
    world.pod_ready(pod)
    world.settled("Awake")
    world.set_load("10.9.9.9", open_requests=1)
    world.until(lambda: "processSeconds" in last_wake(world), "the parts that the server reports")
    wake = last_wake(world)
    parts = {name: seconds for name, seconds in wake.items() if name.endswith("Seconds") and name != "totalSeconds"}
    waking, awake = event(world, "Waking"), event(world, "Awake", f"slowest first: {slowest(parts)}")
    assert awake["message"].startswith(f"region eu-central: awake after {wake['totalSeconds']} s; ")
    assert waking["message"] == "region eu-central: waking on demand: the Lease was renewed by gw-0"
    assert (awake["type"], awake["count"], awake["source"]["component"]) == ("Normal", 1, "voxfleet-operator")
    assert (awake["reportingComponent"], awake["action"]) == ("voxfleet.dev/operator", "Wake")
    world.operator.stop()
    world.operator.start()
    world.until_polled(4)
    assert sorted(each["reason"] for each in events(world)) == ["Awake", "Waking"]
    assert {each["count"] for each in events(world)} == {1}
    shown = described(world, kubectl)
    print(shown)  # noqa: T201
    assert waking["message"] in shown
    assert awake["message"] in shown
    assert "voxfleet-operator" in shown


def test_a_failed_wake_is_in_the_history_with_the_way_out(world: World, kubectl: Path) -> None:
    world.apply(spec())
    world.settled("Asleep")
    world.renew()
    world.settled("Waking")
    pod = world.pod("pod-1")
    world.pod_failed(pod, "model.safetensors is cut off", restarts=3)
    world.settled("Failed")
    found = event(world, "WeightsInvalid")
    assert found["type"] == "Warning"
    assert "model.safetensors is cut off. Ready is False; tried again on demand from" in found["message"]
    assert found["message"].endswith("Correct model.source. Runbook: VoxFleetRegionFailed.")
    world.apply({**spec(), "suspend": True})
    world.delete_pod(pod)
    world.settled("Suspended")
    event(world, "Suspended", "suspended")
    shown = described(world, kubectl)
    print(shown)  # noqa: T201
    assert [each["reason"] for each in events(world) if each["type"] == "Warning"] == ["WeightsInvalid"]
    assert found["message"] in shown
    assert found["message"] in run(world, kubectl, "events", "--for", "voxttsdeployment/narrator")
