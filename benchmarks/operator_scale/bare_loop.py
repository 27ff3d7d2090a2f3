"""The peer: a loop that applies bodies, beside no operator.

Knows control planes. Does not know what the bodies are for.
"""

from __future__ import annotations

import time
from typing import Any

from requests_at_once import apply_all
from resources import prepare
from voxfleet_testbed.cluster.control_plane import running_control_plane


def measure_bare_loop(bodies: list[tuple[str, dict[str, Any]]]) -> float:
    """Return the seconds that all bodies took."""
    with running_control_plane() as control_plane:
        prepare(control_plane.api)
        started = time.monotonic()
        apply_all(control_plane.kubeconfig, bodies)
        return time.monotonic() - started
