"""The demo on the user's own cluster (KUBECONFIG): its gateways are reached through kubectl port-forward.

Knows: kubectl. Does not know: what the cluster runs on. Images come from the user's registry, because a remote
cluster cannot pull images that exist only on this machine.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from voxfleet_demo.installation import GATEWAY_PORT, SYSTEM_NAMESPACE, Installation, InstallationError

FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


def images_below(prefix: str, tag: str) -> dict[str, str]:
    """Name the three images below a registry prefix: `registry/team` becomes `registry/team/voxfleet-operator:tag`."""
    return {part: f"{prefix.rstrip('/')}/voxfleet-{part}:{tag}" for part in ("operator", "gateway", "inference")}


@contextmanager
def forwarded_gateway(installation: Installation, region: str) -> Iterator[str]:
    """Forward a local port to a region's gateway for as long as the block runs; yields the local URL.

    Raises:
        InstallationError: kubectl could not forward; the message is kubectl's.
    """
    service = f"service/voxfleet-gateway-{region}"
    target = ("--kubeconfig", str(installation.kubeconfig), "--namespace", SYSTEM_NAMESPACE)
    # An empty local port lets kubectl choose a free one; it prints which.
    command = [str(installation.programs.kubectl), *target, "port-forward", service, f":{GATEWAY_PORT}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as forwarder:
        try:
            yield f"http://127.0.0.1:{_port(forwarder)}"
        finally:
            forwarder.terminate()


def _port(forwarder: subprocess.Popen[str]) -> int:
    line = forwarder.stdout.readline() if forwarder.stdout else ""
    found = FORWARDING.search(line)
    if found is None:
        errors = forwarder.stderr.read() if forwarder.stderr else ""
        raise InstallationError(f"kubectl port-forward failed: {errors.strip() or line.strip()}")
    return int(found[1])
