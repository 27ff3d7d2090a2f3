"""Wakes a region of a local cluster again and again, and prints which part of each wake took how long.

Fails when more than a tenth of a wake is explained by no part, at the 95th percentile.
"""

from __future__ import annotations

import argparse
import sys

from voxfleet_demo.demo_runner import WAKE_PARTS
from voxfleet_demo.environment import start_local_environment
from voxfleet_demo.installation import REGIONS, Installation
from voxfleet_demo.scenario import speak
from voxfleet_testbed.settings import read_settings

NAME, REGION = "wakes", REGIONS[0]
IDLE_SECONDS = 5  # the shortest that the API server accepts
WAKE_SECONDS = 600
MOST_UNEXPLAINED = 0.1


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wakes", type=int, default=50)
    options = parser.parse_args()
    environment = start_local_environment(read_settings(), report=lambda *_: None)
    try:
        environment.installation.install(environment.values)
        environment.installation.apply_quickstart(NAME, idle_timeout_seconds=IDLE_SECONDS)
        wakes = [wake(environment.installation, number) for number in range(options.wakes)]
    finally:
        environment.cluster.close()
    return show(wakes)


def wake(installation: Installation, number: int) -> dict[str, float]:
    """Wake the region by a request, and return the parts of the wake once the server's own are among them."""
    fleet = installation.fleet
    fleet.wait_phase(NAME, REGION, "Asleep", within_seconds=WAKE_SECONDS)
    before = fleet.last_wake(NAME, REGION).get("startedAt")
    speak(installation.gateway_url(REGION), "One.", model=NAME, hold_seconds=WAKE_SECONDS)
    found = fleet.explained_wake(NAME, REGION, after=before)
    seconds = {part: float(found[f"{part}Seconds"]) for part in ("total", *WAKE_PARTS)}
    print(f"wake {number + 1}: " + ", ".join(f"{part} {value:.2f}" for part, value in seconds.items()), flush=True)
    return seconds


def show(wakes: list[dict[str, float]]) -> int:
    """Print median and 95th percentile of every part; return 1 when too much is unexplained."""
    print(f"\n{len(wakes)} wakes, in seconds\n{'':14}{'p50':>8}{'p95':>8}")
    for part in ("total", *WAKE_PARTS):
        values = [each[part] for each in wakes]
        print(f"{part:14}{quantile(values, 0.5):8.2f}{quantile(values, 0.95):8.2f}")
    unexplained = quantile([each["other"] / each["total"] for each in wakes], 0.95)
    print(f"unexplained, p95: {unexplained:.1%} of a wake; the limit is {MOST_UNEXPLAINED:.0%}")
    return int(unexplained > MOST_UNEXPLAINED)


def quantile(values: list[float], share: float) -> float:
    """Return the value that a share of the values does not exceed."""
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


if __name__ == "__main__":
    sys.exit(main())
