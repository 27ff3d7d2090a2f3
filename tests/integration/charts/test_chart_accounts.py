"""The real operator and gateway, each with its own service account's token only, scale a region for a request.

No kubelet runs: the test proves that the chart's grants suffice, and that no request is forbidden by them.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from voxfleet_testbed.network.addresses import ports_for_later

if TYPE_CHECKING:
    from conftest import Cluster

SYSTEM = "voxfleet-system"
START_SECONDS = 120
FLEET = "/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments/narrator"
EVENTS = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.kind%3DVoxTTSDeployment,reason%3DWaking"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments?labelSelector=voxfleet.dev/region=eu-central"


@dataclass(frozen=True, slots=True)
class Running:
    """One part, running as a process on this machine."""

    ports: dict[str, int]
    log: Path


def account_kubeconfig(installed: Cluster, account: str, folder: Path) -> Path:
    """Write a kubeconfig that has a service account's token instead of the administrator's certificate."""
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/voxfleet-{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = installed.api.request("POST", path, request)["status"]["token"]
    config = json.loads(installed.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    file = folder / f"{account}.kubeconfig"
    file.write_text(json.dumps(config))
    return file


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def running(
    installed: Cluster, account: str, folder: Path, ports: tuple[str, ...], ready: tuple[str, str], **settings: str
) -> Iterator[Running]:
    """Run a part with its own account's kubeconfig; yields it once its readiness endpoint reports ready."""
    chosen = dict(zip(ports, ports_for_later(len(ports)), strict=True))
    log = folder / f"{account}.log"
    key = installed.api.get(f"/api/v1/namespaces/{SYSTEM}/secrets/voxfleet-internal")["data"]["key"]
    environment = {
        "VOXFLEET_KUBECONFIG": str(account_kubeconfig(installed, account, folder)),
        "VOXFLEET_INTERNAL_KEY": base64.b64decode(key).decode(),
        **{f"VOXFLEET_{name}": str(port) for name, port in chosen.items()},
        **{f"VOXFLEET_{name}": value for name, value in settings.items()},
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith(("VOXFLEET_", "KUBE"))}
    with log.open("w") as output:
        command = [sys.executable, "-m", f"voxfleet_{account}"]
        process = subprocess.Popen(command, env={**own, **environment}, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(chosen[ready[0]], ready[1]):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Running(chosen, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


@pytest.fixture
def operator(installed: Cluster, tmp_path: Path) -> Iterator[Running]:
    image = "localhost/voxfleet-inference:test"
    ports = ("HEALTH_PORT", "METRICS_PORT")
    with running(installed, "operator", tmp_path, ports, ("HEALTH_PORT", "/readyz"), INFERENCE_IMAGE=image) as process:
        yield process


@pytest.fixture
def gateway(installed: Cluster, tmp_path: Path) -> Iterator[Running]:
    ports = ("PORT", "METRICS_PORT", "INTERNAL_PORT")
    settings = {"REGION": "eu-central", "POD_NAME": "gateway-under-test", "DRAIN_SECONDS": "0", "HOST": "127.0.0.1"}
    settings["DRAIN_GRACE_SECONDS"] = "0"
    with running(installed, "gateway", tmp_path, ports, ("PORT", "/health/ready"), **settings) as process:
        yield process


def speak(port: int, hold_seconds: int) -> int:
    """Request speech that cannot be served (no kubelet runs the pod); returns the status after the hold."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body = json.dumps({"model": "narrator", "voice": "default", "input": "Is anybody there?"})
        head = {"Content-Type": "application/json", "Prefer": f"wait={hold_seconds}"}
        connection.request("POST", "/v1/audio/speech", body, head)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_request_wakes_a_region_with_the_accounts_of_the_chart(
    installed: Cluster, operator: Running, gateway: Running
) -> None:
    installed.api.apply(FLEET, installed.example("quickstart.yaml"))
    asleep = installed.api.wait_for(DEPLOYMENTS, lambda found: len(found["items"]) == 1, 60)
    assert asleep["items"][0]["spec"]["replicas"] == 0
    deadline = time.monotonic() + 60
    while (status := speak(gateway.ports["PORT"], 5)) == http.client.NOT_FOUND:  # not received yet
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert status == http.client.SERVICE_UNAVAILABLE
    installed.api.wait_for(DEPLOYMENTS, lambda found: found["items"][0]["spec"]["replicas"] == 1, 60)
    leases = installed.api.get("/apis/coordination.k8s.io/v1/namespaces/voxfleet-demand/leases")["items"]
    assert [lease["spec"]["holderIdentity"] for lease in leases if lease["spec"].get("holderIdentity")] == [
        "gateway-under-test"
    ]
    installed.api.wait_for(FLEET, lambda fleet: fleet["status"]["observedGeneration"] >= 1, 60)
    (waking,) = installed.api.wait_for(EVENTS, lambda found: found["items"], 60)["items"]
    assert waking["message"] == "region eu-central: waking on demand: the Lease was renewed by gateway-under-test"
    for part in (operator, gateway):
        assert "forbidden" not in part.log.read_text().lower()
    installed.api.delete(FLEET)
