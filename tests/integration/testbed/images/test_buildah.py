"""A build in its own namespaces ends with the process that called it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

GONE_SECONDS = 90.0


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_a_build_and_its_children_are_killed_with_the_caller() -> None:
    build = "sh', '-c', 'sleep 731 & sleep 732; true"
    program = f"from voxfleet_testbed.images.buildah import run_isolated; run_isolated('{build}')"
    with subprocess.Popen([sys.executable, "-c", program]) as caller:
        deadline = time.monotonic() + GONE_SECONDS
        while len(sleepers()) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(sleepers()) == 2
        caller.kill()
    while sleepers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sleepers() == []


def sleepers() -> list[str]:
    command = ["pgrep", "--full", "--list-full", "--", "^sleep 73[12]$"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
