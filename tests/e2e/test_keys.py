"""Keys reach running gateways through a real kubelet: the Secret is made, changed and emptied, and no pod restarts."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from voxfleet_demo.installation import CHECKOUT, SYSTEM_NAMESPACE, Installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]

KUBELET_SECONDS = 400  # its sync period is a minute, its cache adds to that, and the machine may be loaded


def run(installation: Installation, *command: Any) -> str:
    environment = os.environ | {"KUBECONFIG": str(installation.kubeconfig)}
    words = [str(word) for word in command]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=700)
    assert done.returncode == 0, done.stderr
    return done.stdout


def require_keys(installation: Installation, secret: str) -> None:
    """The how-to's command."""
    options = ("--namespace", SYSTEM_NAMESPACE, "--reuse-values", "--set", f"gateway.keys.existingSecret={secret}")
    chart = CHECKOUT / "charts/voxfleet"
    run(installation, installation.programs.helm, "upgrade", "voxfleet", chart, *options, "--wait", "--timeout", "10m")


def keys(installation: Installation, *arguments: str) -> str:
    return run(installation, sys.executable, "-m", "voxfleet_cli", "keys", *arguments)


def status(installation: Installation, key: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.get(f"{installation.gateway_url('eu-central')}/v1/models", headers=headers, timeout=30).status_code


def until(installation: Installation, key: str, wanted: int) -> float:
    """Wait for the answer, also while a gateway that ends still has a part of the connections; return the seconds."""
    began, answer = time.monotonic(), 0
    while answer != wanted:
        assert time.monotonic() - began < KUBELET_SECONDS, f"the key is answered with {answer}, not with {wanted}"
        time.sleep(0.5)
        with contextlib.suppress(httpx.TransportError):
            answer = status(installation, key)
    return time.monotonic() - began


def gateways(installation: Installation) -> dict[str, int]:
    """Restarts by pod."""
    selector = "app.kubernetes.io/component=gateway"
    pods = installation.kubectl("get", "pods", "--namespace", SYSTEM_NAMESPACE, "--selector", selector, "-o", "json")
    found = [pod for pod in json.loads(pods)["items"] if "deletionTimestamp" not in pod["metadata"]]
    return {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in found}


@pytest.fixture
def keyed(installation: Installation) -> Iterator[Installation]:
    require_keys(installation, "voxfleet-keys")
    yield installation
    require_keys(installation, "")


def test_keys_are_created_and_revoked_under_running_gateways(keyed: Installation) -> None:
    until(keyed, "vf-none", 401)  # without the Secret every request is refused
    before = gateways(keyed)
    created = json.loads(keys(keyed, "create", "--tenant", "acme", "--model", "*", "-o", "json"))
    made = until(keyed, created["key"], 200)
    second = json.loads(keys(keyed, "rotate", created["id"], "--overlap", "1h", "-o", "json"))
    rotated = until(keyed, second["key"], 200)
    assert status(keyed, created["key"]) == 200, "the old key is valid through the overlap"
    keys(keyed, "revoke", created["id"])
    keys(keyed, "revoke", second["id"])
    revoked = until(keyed, second["key"], 401)
    assert status(keyed, created["key"]) == 401
    assert gateways(keyed) == before
    print(f"a key was valid after {made:.0f} s, a rotated one after {rotated:.0f} s, gone after {revoked:.0f} s")  # noqa: T201
