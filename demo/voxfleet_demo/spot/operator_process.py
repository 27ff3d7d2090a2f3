"""The operator as a process of this machine, outside the cluster that it manages, and its gateway's address there.

Does: applies the CRD and the namespaces, starts and stops `python -m voxfleet_operator`. Knows its settings. Does not
know nodes or pods.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.errors import ApiError, StartError
from voxfleet_testbed.network.addresses import free_ports

from voxfleet_demo.installation import CHECKOUT

SYSTEM_NAMESPACE, DEMAND_NAMESPACE = "voxfleet-system", "voxfleet-demand"
CRD = CHECKOUT / "crds" / "voxfleet.dev_voxttsdeployments.yaml"
FLEETS = "/apis/voxfleet.dev/v1alpha1/namespaces/default/voxttsdeployments"
GATEWAY_SLICE = f"/apis/discovery.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/endpointslices/voxfleet-gateway-0"
READY_SECONDS = 120.0  # a machine that runs other tests is slow
SERVED_SECONDS = 60.0
POLL_SECONDS = 0.1
LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """The operator's settings that differ from their defaults."""

    load_poll_seconds: float = 0.5
    spot_quiet_seconds: float = 600.0

    def environment(self, kubeconfig: Path, health_port: int, metrics_port: int) -> dict[str, str]:
        """Return the variables of the process."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "VOXFLEET_KUBECONFIG": str(kubeconfig),
            "VOXFLEET_SYSTEM_NAMESPACE": SYSTEM_NAMESPACE,
            "VOXFLEET_DEMAND_NAMESPACE": DEMAND_NAMESPACE,
            "VOXFLEET_INTERNAL_KEY": "of simulated pods",
            "VOXFLEET_INFERENCE_IMAGE": "localhost/voxfleet-inference:simulated",
            "VOXFLEET_HEALTH_HOST": "127.0.0.1",
            "VOXFLEET_HEALTH_PORT": str(health_port),
            "VOXFLEET_METRICS_PORT": str(metrics_port),
            "VOXFLEET_LOAD_POLL_SECONDS": str(self.load_poll_seconds),
            "VOXFLEET_SPOT_QUIET_SECONDS": str(self.spot_quiet_seconds),
        }


@dataclass(frozen=True, slots=True)
class RunningOperator:
    """Where a running operator is found."""

    pid: int
    metrics_port: int


@contextmanager
def running_operator(api: Api, kubeconfig: Path, log: Path, options: OperatorOptions) -> Iterator[RunningOperator]:
    """Run the operator for as long as the block runs.

    Raises:
        StartError: it ended, or was not ready in time; the message has the end of its log.
    """
    define_resource(api)
    health_port, metrics_port = free_ports("127.0.0.1", 2)
    environment = options.environment(kubeconfig, health_port, metrics_port)
    with (
        log.open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", "voxfleet_operator"], env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait_ready(process, health_port, log)
            yield RunningOperator(process.pid, metrics_port)
        finally:
            process.terminate()


def define_resource(api: Api) -> None:
    """Apply the CRD and the two namespaces, and wait until the resource is served."""
    definition = yaml.safe_load(CRD.read_text())
    api.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}", definition)
    for name in (SYSTEM_NAMESPACE, DEMAND_NAMESPACE):
        api.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    api.wait_for(FLEETS, lambda _: True, SERVED_SECONDS)
    api.wait_for("/api/v1/namespaces/default/serviceaccounts/default", bool, SERVED_SECONDS)


def publish_gateway(api: Api, address: str, port: int) -> None:
    """Write the EndpointSlice in which the operator finds the gateway."""
    body: dict[str, Any] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "voxfleet-gateway-0",
            "namespace": SYSTEM_NAMESPACE,
            "labels": {"kubernetes.io/service-name": "voxfleet-gateway"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "internal", "port": port, "protocol": "TCP"}],
    }
    api.apply(GATEWAY_SLICE, body)


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200:  # noqa: PLR2004
                return
        time.sleep(POLL_SECONDS)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    raise StartError(f"the operator is not ready:\n{end}")


def resource_exists(api: Api, path: str) -> bool:
    """Whether an object exists."""
    try:
        api.get(path)
    except ApiError:
        return False
    return True
