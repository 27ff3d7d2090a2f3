"""The measured side: a real operator process, many resources, and then rest.

Knows the operator's process and metrics, and how to read the objects that it applied. Does not know the peer.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from applied_fields import applied_body
from ready_watch import watched_resources
from requests_at_once import FIELD_MANAGER, apply_all
from resources import RESOURCES, prepare, resource
from voxfleet_demo.spot.operator_process import OperatorOptions, running_operator
from voxfleet_operator.kinds import TABLE
from voxfleet_operator.names import LABEL_DEPLOYMENT
from voxfleet_testbed.cluster.api import Api
from voxfleet_testbed.cluster.control_plane import ControlPlane, running_control_plane

DEADLINE_SECONDS = 3600.0
SCRAPE_SECONDS = 5.0  # a scrape of so many resources is work for the measured process
CALLS = "voxfleet_operator_api_calls_total"
TICKS = os.sysconf("SC_CLK_TCK")
Bodies = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class OperatorFigures:
    """What the operator took."""

    objects: int
    steady_seconds: float
    calls: float
    processor_seconds: float
    memory_mib: float
    idle_seconds: int
    idle_writes: int
    idle_processor_seconds: float
    restart_seconds: float
    restart_writes: int

    def row(self) -> dict[str, float]:
        """Return the figures by their names."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Process:
    """One operator process, by its metrics and /proc."""

    pid: int
    metrics_port: int

    def metric(self, name: str, *, without: str = "no label") -> float:
        """Return the sum of a metric's samples, without those that have a label."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and without not in line)

    def calls(self) -> float:
        """Return the requests since the start, watches apart."""
        return self.metric(CALLS)

    def writes(self) -> int:
        """Return the requests since the start that were no reads."""
        return int(self.metric(CALLS, without='method="GET"'))

    def processor_seconds(self) -> float:
        """Return the processor time since the start."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mib(self) -> float:
        """Return the resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def measure_operator(resources: int, regions: int, idle_seconds: int, log: Path) -> tuple[OperatorFigures, Bodies]:
    """Return the figures, and every body that was applied with its path, the resources first."""
    own = [(f"{RESOURCES}/{each['metadata']['name']}", each) for each in _resources(resources, regions)]
    with running_control_plane() as control_plane:
        prepare(control_plane.api)
        with _operator(control_plane, log) as operator:
            with watched_resources(control_plane.api) as watched:
                started = time.monotonic()
                apply_all(control_plane.kubeconfig, own)
                _say(f"{resources} resources created after {time.monotonic() - started:.1f} s")
                steady_seconds = watched.wait_ready(resources, DEADLINE_SECONDS) - started
            _wait_reconciled(operator, resources)
            calls, processor_seconds = operator.calls(), operator.processor_seconds()
            _say(f"steady after {steady_seconds:.1f} s; at rest for {idle_seconds} s")
            writes = operator.writes()
            time.sleep(idle_seconds)
            idle_writes, memory = operator.writes() - writes, operator.memory_mib()
            idle_processor_seconds = operator.processor_seconds() - processor_seconds
        restarted = time.monotonic()
        with _operator(control_plane, log) as operator:
            restart_seconds = _wait_reconciled(operator, resources) - restarted
            restart_writes = operator.writes()
        bodies = own + _applied(control_plane.api)
    figures = OperatorFigures(
        objects=len(bodies),
        steady_seconds=steady_seconds,
        calls=calls,
        processor_seconds=processor_seconds,
        memory_mib=memory,
        idle_seconds=idle_seconds,
        idle_writes=idle_writes,
        idle_processor_seconds=idle_processor_seconds,
        restart_seconds=restart_seconds,
        restart_writes=restart_writes,
    )
    return figures, bodies


def _resources(count: int, regions: int) -> list[dict[str, Any]]:
    return [resource(number, regions) for number in range(count)]


@contextmanager
def _operator(control_plane: ControlPlane, log: Path) -> Iterator[Process]:
    with running_operator(control_plane.api, control_plane.kubeconfig, log, OperatorOptions()) as running:
        yield Process(running.pid, running.metrics_port)


def _wait_reconciled(operator: Process, resources: int) -> float:
    """Return the instant at which every resource had been reconciled and none was queued."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        now, depth = time.monotonic(), operator.metric("voxfleet_operator_workqueue_depth")
        reconciles = operator.metric("voxfleet_operator_reconciles_total")
        if depth == 0 and reconciles >= resources:
            return now
        _say(f"{reconciles:.0f} reconciles, {depth:.0f} resources queued")
        time.sleep(SCRAPE_SECONDS)
    raise TimeoutError(f"the operator's queue was not empty after {DEADLINE_SECONDS:.0f} s")


def _applied(api: Api) -> Bodies:
    """Return what the operator applied, of every kind that it applies."""
    found: Bodies = []
    for kind in TABLE:
        if not kind.is_applied or kind.is_optional or kind.is_of_notebooks:  # not served here, or not made
            continue
        for item in api.get(f"{kind.path(None)}?labelSelector={LABEL_DEPLOYMENT}")["items"]:
            body = applied_body({**item, "apiVersion": kind.api_version, "kind": kind.name}, FIELD_MANAGER)
            found.append((f"{kind.path(body['metadata']['namespace'])}/{body['metadata']['name']}", body))
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
