"""API keys under load: required, issued, rotated and revoked, as an administrator does it with `voxfleet keys`.

Knows: the command line, the procedure of docs/keys-and-tenants.md, what a gateway does with a key that it must refuse.
Does not know: the load; it asks for the key that is valid now.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx

from voxfleet_demo.chaos.outcomes import Ending, Outcome
from voxfleet_demo.installation import REGIONS, Installation, InstallationError, Values
from voxfleet_demo.scenario import wait_until

SECRET = "voxfleet-keys"  # noqa: S105  # its name
TENANT = "chaos"
# The kubelet writes a changed Secret into pods a minute or two later.
PROPAGATION_SECONDS = 300.0
SETTLE_SECONDS = 5.0  # a request that has left with the old key has reached its gateway by then
PROBE_PAUSE_SECONDS = 0.5
PROBE_SECONDS = 30.0
OK, UNAUTHORIZED = 200, 401


@dataclass(slots=True)
class ApiKeys:
    """The key that clients send; how requests ended whose keys must not be taken, beside the load's own."""

    current: str = ""  # empty: none is required
    current_id: str = ""
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeyCommands:
    """`voxfleet keys` on one cluster."""

    installation: Installation

    def create(self, model: str) -> tuple[str, str]:
        """Issue a key; return its id and the key."""
        return self._new("create", "--tenant", TENANT, "--model", model, "--output", "json")

    def rotate(self, key_id: str) -> tuple[str, str]:
        """Issue a key in the place of another one, which stays valid for a day; return its id and the key."""
        return self._new("rotate", key_id, "--overlap", "24h", "--output", "json")

    def revoke(self, key_id: str) -> None:
        """Remove a key."""
        self._run("revoke", key_id)

    def _new(self, *arguments: str) -> tuple[str, str]:
        made = json.loads(self._run(*arguments))
        return made["id"], made["key"]

    def _run(self, *arguments: str) -> str:
        options = ("--kubeconfig", str(self.installation.kubeconfig), "--secret", SECRET)
        command = [sys.executable, "-m", "voxfleet_cli", "keys", *options, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InstallationError(f"voxfleet keys {arguments[0]} failed:\n{done.stderr.strip()}")
        return done.stdout


@contextmanager
def required_keys(installation: Installation, values: Values, keys: ApiKeys, model: str) -> Iterator[None]:
    """Let the gateways require keys, of which clients have one; afterwards they are open again."""
    keys.current_id, keys.current = KeyCommands(installation).create(model)
    try:
        installation.install(replace(values, keys_secret=SECRET))
        yield
    finally:
        keys.current = keys.current_id = ""
        keys.outcomes.clear()
        installation.install(values)


def rotate_and_revoke(installation: Installation, keys: ApiKeys) -> None:
    """Rotate the clients' key, move them to the new one, revoke the old one, and see it refused, with all others.

    Raises:
        ScenarioError: a gateway does not know the new key, or takes the old one, after PROPAGATION_SECONDS.
    """
    commands, urls = KeyCommands(installation), {region: installation.gateway_url(region) for region in REGIONS}
    old, old_id = keys.current, keys.current_id
    keys.current_id, new = commands.rotate(old_id)
    for region, url in urls.items():
        _wait_status(url, new, OK, f"whether the gateway of {region} takes the new key")
    keys.current = new
    time.sleep(SETTLE_SECONDS)
    with _probing(urls, old, keys.outcomes), _probing(urls, "vf-never-issued", keys.outcomes, was_denied=True):
        commands.revoke(old_id)
        for region, url in urls.items():
            _wait_status(url, old, UNAUTHORIZED, f"whether the gateway of {region} refuses the old key")
        time.sleep(SETTLE_SECONDS)


def status_with(url: str, key: str) -> int:
    """Return the status of a request with this key, for which no server is needed."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        return httpx.get(f"{url}/v1/models", headers=headers, timeout=PROBE_SECONDS).status_code
    except httpx.TransportError:
        return 0


def _wait_status(url: str, key: str, status: int, what: str) -> None:
    wait_until(lambda: status_with(url, key), status, what=what, within_seconds=PROPAGATION_SECONDS)


@contextmanager
def _probing(urls: dict[str, str], key: str, outcomes: list[Outcome], *, was_denied: bool = False) -> Iterator[None]:
    """Send the key to every gateway again and again; once one has denied it, it must not take it any more."""
    ending = threading.Event()

    def probe(region: str, url: str) -> None:
        denied = was_denied
        while not ending.wait(PROBE_PAUSE_SECONDS):
            started = time.monotonic()
            status = status_with(url, key)
            if (found := probe_ending(status, was_denied=denied)) is not None:
                detail = "" if found is Ending.DENIED else f"status {status} for a key that must not be taken"
                outcomes.append(Outcome(region, found, time.monotonic() - started, detail))
            denied = denied or found is Ending.DENIED

    threads = [threading.Thread(target=probe, args=each, daemon=True) for each in urls.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(2 * PROBE_SECONDS)


def probe_ending(status: int, *, was_denied: bool) -> Ending | None:
    """Return how a request with a key ended that must not be taken; None while its gateway may not know that yet."""
    if status == UNAUTHORIZED:
        return Ending.DENIED
    if status == OK:
        return Ending.ADMITTED if was_denied else None
    return Ending.LOST
