"""Runs faults under load, one after another, on one resource that is awake in both regions.

Knows: what a run consists of. Does not know: how faults are made, how results are shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

from voxfleet_testbed.errors import TestbedError

from voxfleet_demo.chaos.faults import AROUND, FAULTS, RESOURCE, Subject
from voxfleet_demo.chaos.load import TEXTS, Load, ask
from voxfleet_demo.chaos.outcomes import FaultKind, FaultResult, count
from voxfleet_demo.installation import REGIONS, InstallationError
from voxfleet_demo.scenario import ScenarioError

BEFORE_SECONDS, AFTER_SECONDS = 5.0, 10.0
IDLE_SECONDS = 900  # no region sleeps during a fault
CLIENTS = 6


@dataclass(frozen=True, slots=True)
class ChaosRunner:
    """A resource that serves, and what its answers are known to be."""

    subject: Subject
    expected_seconds: dict[str, float]  # text -> audio
    clients: int = CLIENTS

    def run(self, kind: FaultKind) -> FaultResult:
        """Inject a fault under load and go on until the cluster has recovered; then wait for the open requests."""
        inject, keys = FAULTS[kind], self.subject.keys
        around = AROUND.get(inject)
        with around(self.subject) if around is not None else nullcontext():
            self.subject.wait_whole()
            url_of = cache(self.subject.installation.gateway_url)
            load = Load(RESOURCE, url_of, self.expected_seconds, lambda: keys.current)
            for region in REGIONS:
                load.url_of(region)  # read now: the API server may be away later
            started, error = time.monotonic(), ""
            with load.running(self.clients):
                time.sleep(BEFORE_SECONDS)
                try:
                    inject(self.subject)
                    self.subject.wait_whole()
                    time.sleep(AFTER_SECONDS)
                except (ScenarioError, InstallationError, TestbedError) as failed:
                    error = str(failed)
            return count(kind, time.monotonic() - started, [*load.outcomes, *keys.outcomes], error)


@contextmanager
def awake_resource(subject: Subject, clients: int = CLIENTS) -> Iterator[ChaosRunner]:
    """Apply the quickstart under a name of its own, wake both regions, and measure each text once."""
    installation = subject.installation
    installation.apply_quickstart(RESOURCE, idle_timeout_seconds=IDLE_SECONDS)
    try:
        for region in REGIONS:  # the second may spill to the first, and wakes its own region all the same
            ask(None, installation.gateway_url(region), RESOURCE, region, TEXTS[0])
        subject.wait_whole()
        url = installation.gateway_url(REGIONS[0])
        expected = {text: ask(None, url, RESOURCE, REGIONS[0], text).audio_seconds for text in TEXTS}
        yield ChaosRunner(subject, expected, clients)
    finally:
        installation.delete(RESOURCE)
