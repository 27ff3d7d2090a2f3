"""One Prometheus in a testbed's run, and its HTTP API.

Knows: Prometheus' flags and API. Does not know: what is scraped, or which queries are worth asking. The process belongs
to the run: it outlives `make demo` with the cluster, and `make demo-down` removes both.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from voxfleet_testbed.network.addresses import free_ports
from voxfleet_testbed.supervision.processes import Process, Run

LOOPBACK = "127.0.0.1"
NAME = "prometheus"
READY_SECONDS = 60.0
QUERY_SECONDS = 60.0  # of a machine whose cores all speak


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a query's result; samples that are no number (a quantile of nothing) are left out."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]  # time, value


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def is_ready(self) -> bool:
        """Return whether it answers queries."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=QUERY_SECONDS).is_success
        except httpx.TransportError:
            return False

    def at(self, expression: str, when: float) -> tuple[Series, ...]:
        """Evaluate a query at one time."""
        rows = self._get("query", query=expression, time=when)["result"]
        return tuple(_series(row["metric"], [row["value"]]) for row in rows)

    def between(self, expression: str, start: float, end: float, step_seconds: float) -> tuple[Series, ...]:
        """Evaluate a query at each step from start to end."""
        rows = self._get("query_range", query=expression, start=start, end=end, step=step_seconds)["result"]
        return tuple(_series(row["metric"], row["values"]) for row in rows)

    def alert_rules(self) -> list[dict[str, Any]]:
        """Return every alert rule with its health and last error."""
        groups = self._get("rules", type="alert")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _get(self, path: str, **parameters: str | float) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=QUERY_SECONDS)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data


def _series(labels: Mapping[str, str], values: list[tuple[float, str]]) -> Series:
    samples = ((when, float(value)) for when, value in values)
    return Series(labels, tuple((when, value) for when, value in samples if math.isfinite(value)))


def start_prometheus(run: Run, program: Path, configuration: Mapping[str, Any]) -> Prometheus:
    """Start Prometheus in a run and wait until it answers.

    Raises:
        StartError: it ended, or was not ready in time; the message has the end of its log.
    """
    file = run.folder.write("prometheus.yaml", yaml.safe_dump(dict(configuration)).encode())
    (port,) = free_ports(LOOPBACK, 1)
    storage = run.folder.path / "prometheus"
    flags = (f"--config.file={file}", f"--storage.tsdb.path={storage}", f"--web.listen-address={LOOPBACK}:{port}")
    run.start(Process(NAME, (str(program), *flags, "--log.level=warn")))
    prometheus = Prometheus(f"http://{LOOPBACK}:{port}")
    run.wait_until(prometheus.is_ready, NAME, READY_SECONDS)
    return prometheus
