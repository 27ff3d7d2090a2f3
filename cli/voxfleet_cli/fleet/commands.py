"""`voxfleet status [NAME]` and `voxfleet explain NAME`.

Knows: options, exit codes, the clock, what is printed. Does not know: what a status means (words.py).
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.fleet.words import Finding, explain, headline, is_ready
from voxfleet_cli.options import (
    AllNamespacesOption,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Output,
    OutputOption,
)
from voxfleet_cli.printing import print_table
from voxfleet_cli.resources import read_resources

NOT_READY = 3  # exit code
POLL_SECONDS = 2.0


def status_command(  # noqa: PLR0913  # an argument per option
    name: Annotated[str, typer.Argument(help="The VoxTTSDeployment. Default: every one of the namespace.")] = "",
    namespace: NamespaceOption = "",
    *,
    all_namespaces: AllNamespacesOption = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show changes until Ctrl-C.")] = False,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show every region's phase and servers.

    Exit codes: 0 every resource is ready, asleep included, 3 one is not.
    """
    cluster = Cluster(kubeconfig, kube_context)

    def read() -> list[Body]:
        return read_resources(cluster, name, namespace, all_namespaces=all_namespaces)

    found = _watched(read) if watch and output is Output.TEXT else read()
    if output is Output.JSON:
        sys.stdout.write(json.dumps([_row(each) for each in found], indent=2) + "\n")
    elif not watch:
        print_table(status_table(found), Console())
    raise typer.Exit(0 if all(is_ready(each) for each in found) else NOT_READY)


def _watched(read: Any) -> list[Body]:
    """Show the table and its changes until the user ends it; return what was shown last."""
    found: list[Body] = read()
    with Live(status_table(found), console=Console(), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(POLL_SECONDS)
                found = read()
                live.update(status_table(found), refresh=True)
        except KeyboardInterrupt:
            return found


def _row(resource: Mapping[str, Any]) -> dict[str, Any]:
    status = resource.get("status") or {}
    names = {key: resource["metadata"][key] for key in ("namespace", "name")}
    return {
        **names,
        "ready": is_ready(resource),
        "message": status.get("message", ""),
        "regions": status.get("regions"),
    }


def status_table(resources: list[Body]) -> Table:
    """Return the table of all regions."""
    table = Table(box=None, pad_edge=False)
    for header in ("NAMESPACE", "NAME", "READY", "REGION", "PHASE", "SERVERS", "SPOT", "AWAKE UNTIL", "MESSAGE"):
        table.add_column(header)
    for resource in resources:
        metadata, status = resource["metadata"], resource.get("status") or {}
        names = (metadata["namespace"], metadata["name"], "yes" if is_ready(resource) else "no")
        regions = status.get("regions") or []
        for each in regions:
            table.add_row(*names, *_cells(each))
        if not regions:
            table.add_row(*names, "", "", "", "", "", status.get("message") or "no status yet")
    return table


def _cells(region: Mapping[str, Any]) -> tuple[str, ...]:
    until = (region.get("awakeUntil") or "").removesuffix("Z").replace("T", " ")
    servers = f"{region.get('readyReplicas', 0)}/{region.get('desiredReplicas', 0)}"
    spot = str(region.get("spotReplicas") or "")
    return region["name"], region["phase"], servers, spot, until, region.get("message", "")


def explain_command(
    name: Annotated[str, typer.Argument(help="The VoxTTSDeployment.")],
    namespace: NamespaceOption = "",
    *,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show why a resource is in its state, and what can be done about it.

    Exit codes: 0 it is ready, asleep included, 3 it is not.
    """
    (resource,) = read_resources(Cluster(kubeconfig, kube_context), name, namespace, all_namespaces=False)
    findings = explain(resource, datetime.now(UTC))
    if output is Output.JSON:
        rows = [asdict(each) for each in findings]
        sys.stdout.write(json.dumps({"ready": is_ready(resource), "findings": rows}, indent=2) + "\n")
    else:
        sys.stdout.write(headline(resource) + "\n\n" + "\n".join(map(as_text, findings)) + "\n")
    raise typer.Exit(0 if is_ready(resource) else NOT_READY)


def as_text(finding: Finding) -> str:
    """Return a finding as lines."""
    lines = [f"{finding.subject}: {finding.state}", *(f"  {line}" for line in finding.why)]
    return "\n".join([*lines, *([f"  $ {finding.command}"] if finding.command else [])])
