"""Reads from a cluster what a bundle has; what can't be read is listed with its status alone.

Knows: which pods have logs and metrics, and how these are fetched.
Does not know: what may be kept (shapes.py, lines.py).
"""

import http.client
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.doctor.checks import examine
from voxfleet_cli.doctor.facts import Finding, State
from voxfleet_cli.doctor.observation import observe
from voxfleet_cli.errors import CliError
from voxfleet_cli.report.bundle import BundleFile, json_file, lines_file
from voxfleet_cli.report.lines import log_lines, samples
from voxfleet_cli.report.picking import DROPPED, NAME, VERSION, pick
from voxfleet_cli.report.shapes import SOURCES

LOG_LINES = 2000
METRICS_PORT = 9090
MOST_PODS = 20
LONGEST_METRICS_BYTES = 8 * 2**20
LOG_BYTES = 4 * 2**20


@dataclass(slots=True)
class Collection:
    """Collects the files of one bundle. `unread`: what is missing, and the kind of error."""

    cluster: Cluster
    system_namespace: str
    demand_namespace: str
    unread: dict[str, str] = field(default_factory=dict)

    def files(self) -> Iterator[BundleFile]:
        """Yield every file."""
        yield json_file("versions.json", "versions of this command, of Python and of Kubernetes", self._versions())
        facts = observe(self.cluster, self.system_namespace, self.demand_namespace)
        findings = [_without_text(each) for each in examine(facts)]
        yield json_file("doctor.json", "findings of voxfleet doctor: checks and states", findings)
        namespaces = {"system": self.system_namespace, "demand": self.demand_namespace}
        for name, source in SOURCES.items():
            items = self._items(name, source.path.format(**namespaces))
            kept = [picked for each in items if (picked := pick(each, source.shape)) is not DROPPED]
            yield json_file(
                f"{name}.json", f"{len(kept)} {name.replace('-', ' ')}: names, states, numbers, times", kept
            )
        for pod in self._pods():
            yield from self._of_pod(pod["metadata"]["name"])
        yield json_file("unread.json", "what could not be read", self.unread)

    def _versions(self) -> dict[str, Any]:
        try:
            own = version("voxfleet")
        except PackageNotFoundError:
            own = "not installed"
        found = pick(self.cluster.get("/version"), {"gitVersion": VERSION})
        return {"voxfleet": own, "python": platform.python_version(), "kubernetes": found.get("gitVersion", "unknown")}

    def _items(self, name: str, path: str) -> list[Any]:
        try:
            return self.cluster.get(path).get("items") or []
        except CliError as error:
            self.unread[name] = type(error).__name__
            return []

    def _pods(self) -> list[Body]:
        path = SOURCES["system-pods"].path.format(system=self.system_namespace)
        return [pod for pod in self._items("logs", path) if NAME(pod["metadata"]["name"]) is not DROPPED][:MOST_PODS]

    def _of_pod(self, name: str) -> Iterator[BundleFile]:
        base = f"/api/v1/namespaces/{self.system_namespace}/pods/{name}"
        try:
            text = self.cluster.get_text(f"{base}/log?tailLines={LOG_LINES}&limitBytes={LOG_BYTES}&timestamps=false")
            yield lines_file(f"logs/{name}.jsonl", "known events of its log, without messages", log_lines(text))
        except CliError as error:
            self.unread[f"logs/{name}"] = type(error).__name__
        try:
            yield json_file(f"metrics/{name}.json", "its metrics, without buckets", samples(self._metrics(name)))
        except CliError as error:
            self.unread[f"metrics/{name}"] = type(error).__name__

    def _metrics(self, name: str) -> str:
        with self.cluster.connection(self.system_namespace, name, METRICS_PORT) as connection:
            return fetched(connection)


def fetched(connection: http.client.HTTPConnection) -> str:
    """Return the metrics behind a connection, up to a bound."""
    connection.request("GET", "/metrics", headers={"Host": "metrics", "Accept": "text/plain"})
    return connection.getresponse().read(LONGEST_METRICS_BYTES).decode(errors="replace")


def _without_text(finding: Finding) -> dict[str, Any]:
    """Return a finding without its text and its command, which quote objects and errors."""
    row = asdict(finding)
    return {"check": row["check"], "state": State(row["state"])}
