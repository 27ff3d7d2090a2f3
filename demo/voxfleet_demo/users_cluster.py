"""The demo on a cluster that the user already has: reach its gateways through kubectl port-forward.

Knows kubectl. Does not know what the cluster runs on. Images come from the user's registry, because no cluster can
see what lies on this machine.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from voxfleet_demo.installation import GATEWAY_PORT, SYSTEM_NAMESPACE, Installation, InstallationError

FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


def images_below(prefix: str, tag: str) -> dict[str, str]:
    """The three images under a registry's prefix: `registry/team` becomes `registry/team/voxfleet-operator:tag`..."""
    return {part: f"{prefix.rstrip('/')}/voxfleet-{part}:{tag}" for part in ("operator", "gateway", "inference")}


@contextmanager
def forwarded_gateway(installation: Installation, region: str) -> Iterator[str]:
    """The address of a region's gateway on this machine, for as long as the block runs.

    Raises:
        InstallationError: kubectl could not forward; the message is its own.
    """
    service = f"service/voxfleet-gateway-{region}"
    place = ("--kubeconfig", str(installation.kubeconfig), "--namespace", SYSTEM_NAMESPACE)
    command = [str(installation.programs.kubectl), *place, "port-forward", service, f":{GATEWAY_PORT}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as forwarder:
        try:
            yield f"http://127.0.0.1:{_port(forwarder)}"
        finally:
            forwarder.terminate()


def _port(forwarder: subprocess.Popen[str]) -> int:
    line = forwarder.stdout.readline() if forwarder.stdout else ""
    found = FORWARDING.search(line)
    if found is None:
        said = forwarder.stderr.read() if forwarder.stderr else ""
        raise InstallationError(f"kubectl port-forward said: {said.strip() or line.strip()}")
    return int(found[1])
