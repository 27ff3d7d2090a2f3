"""`voxfleet status [NAME]` and `voxfleet explain NAME`.

Knows: options, exit codes, the clock, what is printed. Does not know: what a status means (words.py).
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from voxfleet_cli.cluster import Body, Cluster
from voxfleet_cli.errors import ClusterError
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

    Exit codes: 0 every resource is ready, asleep or waking on demand included, 3 one is not.
    """
    cluster = Cluster(kubeconfig, kube_context)

    def read() -> list[Body]:
        return read_resources(cluster, name, namespace, all_namespaces=all_namespaces)

    found = _watched(read, output) if watch else read()
    if not watch:
        _print(found, output)
    raise typer.Exit(0 if all(is_ready(each) for each in found) else NOT_READY)


def _print(found: list[Body], output: Output) -> None:
    if output is Output.JSON:
        sys.stdout.write(json.dumps(_rows(found), indent=2) + "\n")
    else:
        print_table(status_table(found), Console())


def _watched(read: Callable[[], list[Body]], output: Output) -> list[Body]:
    """Show the regions and their changes until the user ends it; return what was shown last.

    In a terminal one table that changes; in a pipe a table, or a line of JSON, at each change.
    """
    last: list[Body] = []
    console = Console()
    if console.is_terminal and output is Output.TEXT:
        with Live(console=console, auto_refresh=False) as live:
            for last, error in changes(read, table_rows):
                live.update(Group(status_table(last), *([Text(error, "red")] if error else [])), refresh=True)
        return last
    show: Callable[[list[Body]], None] = _print_line if output is Output.JSON else lambda each: _print(each, output)
    for last, error in changes(read, _rows if output is Output.JSON else table_rows):
        if error:
            sys.stderr.write(f"{error}\n")
        else:
            show(last)
    return last


def _print_line(found: list[Body]) -> None:
    sys.stdout.write(json.dumps(_rows(found)) + "\n")
    sys.stdout.flush()


def changes(
    read: Callable[[], list[Body]], shown_of: Callable[[list[Body]], object]
) -> Iterator[tuple[list[Body], str]]:
    """Yield what is read at first and when `shown_of` it changes, and the error while it can't be; end at Ctrl-C."""
    found, error = read(), ""
    with suppress(KeyboardInterrupt):
        while True:
            yield found, error
            shown = (shown_of(found), error)
            while (shown_of(found), error) == shown:
                time.sleep(POLL_SECONDS)
                try:
                    found, error = read(), ""
                except ClusterError as raised:  # the API server may be away for a moment
                    error = str(raised)


def _rows(found: list[Body]) -> list[dict[str, Any]]:
    return [_row(each) for each in found]


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
    for row in table_rows(resources):
        table.add_row(*row)
    return table


def table_rows(resources: list[Body]) -> list[tuple[str, ...]]:
    """Return the cells of each region, and one row for a resource without any."""
    rows: list[tuple[str, ...]] = []
    for resource in resources:
        metadata, status = resource["metadata"], resource.get("status") or {}
        names = (metadata["namespace"], metadata["name"], "yes" if is_ready(resource) else "no")
        regions = status.get("regions") or []
        none = (*[""] * 5, status.get("message") or "no status yet")
        rows += [(*names, *_cells(each)) for each in regions] or [(*names, *none)]
    return rows


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

    Exit codes: 0 it is ready, asleep or waking on demand included, 3 it is not.
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
