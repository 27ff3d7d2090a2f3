"""The ledger of a real operator against this machine's clock, over a kill and a restart, and `voxfleet cost` on top."""

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

SPEC = {
    "regions": [{"name": "eu-central", "pricePerGpuHour": {"onDemand": "3600"}}, {"name": "us-east"}],
    "autoscaling": {"idleTimeoutSeconds": 600},
}


def gpus(world: Any) -> int | None:
    rates = (world.status().get("cost") or {}).get("rates") or []
    return next((rate["onDemandGpus"] for rate in rates if rate["region"] == "eu-central"), None)


def until_gpus(world: Any, count: int) -> float:
    """Wait until the status says that so many GPUs are held; return the time at which that was read."""
    world.until(lambda: gpus(world) == count, f"{count} GPUs")
    return time.time()


def sums(world: Any) -> dict[str, float]:
    """The region's seconds and money over the months: a test may run at the end of one."""
    rows = [row for row in world.status()["cost"]["months"] if row["region"] == "eu-central"]
    names = ("onDemandSeconds", "onDemandPaid", "asleepSeconds", "asleepCost")
    return {name: sum(float(row.get(name, 0)) for row in rows) for name in names}


def voxfleet(world: Any, kubeconfig: str, name: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "voxfleet_cli", name, "-n", world.namespace, "--kubeconfig", kubeconfig]
    done = subprocess.run(
        [*command, *arguments], env=os.environ, capture_output=True, text=True, check=False, timeout=120
    )
    # 0 from `status` and `explain` too: a region that wakes on demand is ready.
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_a_wake_of_known_length_over_a_kill_and_a_restart(world: Any, control_plane: Any) -> None:
    before_apply = time.time()
    world.apply(SPEC)
    world.settled("Asleep")
    until_gpus(world, 0)
    world.renew()
    world.settled("Waking")
    pod, before_pod = world.pod("pod-1"), time.time()
    world.set_load("10.9.9.9", open_requests=1)
    world.pod_ready(pod)
    seen_in_use = until_gpus(world, 1)
    time.sleep(3)
    world.operator.kill()
    time.sleep(2)
    world.operator.start()
    time.sleep(2)
    before_delete = time.time()
    world.delete_pod(pod)
    seen_free = until_gpus(world, 0)

    found = sums(world)
    # Sound bounds by one clock: counting began between the pod and its first sight, and ended after the deletion.
    assert before_delete - seen_in_use <= found["onDemandSeconds"] <= seen_free - before_pod
    assert before_delete - seen_in_use >= 7, "the operator's absence is a part of it"
    assert abs(found["onDemandPaid"] - found["onDemandSeconds"]) < 0.01, "a GPU second costs 1"
    assert 0 < found["asleepSeconds"] < before_pod - before_apply
    as_of = datetime.fromisoformat(world.status()["cost"]["asOf"]).timestamp()
    assert before_delete <= as_of <= seen_free
    counted = world.operator.metric("voxfleet_operator_gpu_seconds_total")
    assert 1.9 < counted < found["onDemandSeconds"] - 2, "this process' part, without what it took over"

    kubeconfig = str(control_plane.kubeconfig)
    report = json.loads(voxfleet(world, kubeconfig, "cost", "-o", "json"))
    row = next(row for row in report["rows"] if row["region"] == "eu-central" and row["pool"] == "on demand")
    assert abs(row["gpu_hours"] * 3600 - found["onDemandSeconds"]) < 0.01
    text = voxfleet(world, kubeconfig, "cost", "narrator")
    assert "eu-central" in text
    assert "TOTAL" in text

    (state,) = json.loads(voxfleet(world, kubeconfig, "status", "-o", "json"))
    assert [region["name"] for region in state["regions"]] == ["eu-central", "us-east"]
    explained = json.loads(voxfleet(world, kubeconfig, "explain", "narrator", "-o", "json"))
    assert [each["subject"] for each in explained["findings"]][:2] == ["region eu-central", "region us-east"]
