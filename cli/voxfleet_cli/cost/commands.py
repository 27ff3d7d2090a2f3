"""`voxfleet cost [NAME]`.

Knows: options, the clock, where resources are, what is printed.
Does not know: how sums come about (ledger.py, report.py).
"""

import json
import re
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.cost.ledger import read_ledger
from voxfleet_cli.cost.report import CostRow, Report, report
from voxfleet_cli.errors import UsageError
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

MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
SHOWN_PEAKS = 6
NOTE = (
    "PAID is for GPUs in use, in the currency of pricePerGpuHour. AVOIDED is what constant on-demand replicas at the "
    "month's peak (GPUs: {peaks}) would have used while the region slept. SAVED is the share of avoided and spot "
    "savings in what would have been paid without them."
)


def cost(  # noqa: PLR0913  # an argument per option
    name: Annotated[str, typer.Argument(help="The VoxTTSDeployment. Default: every one of the namespace.")] = "",
    month: Annotated[str, typer.Option(help="Year and month of UTC, such as 2026-11. Default: the present one.")] = "",
    namespace: NamespaceOption = "",
    *,
    all_namespaces: AllNamespacesOption = False,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what a month's GPUs cost, and what sleeping and spot machines saved, up to now."""
    now = datetime.now(UTC)
    wanted = month or f"{now:%Y-%m}"
    if not MONTH.fullmatch(wanted):
        raise UsageError(f"--month must be a year and a month, such as 2026-11, not {wanted!r}")
    resources = read_resources(Cluster(kubeconfig, kube_context), name, namespace, all_namespaces=all_namespaces)
    ledgers = [ledger for each in resources if (ledger := read_ledger(each, now.timestamp())) is not None]
    found = report(wanted, ledgers)
    if output is Output.JSON:
        sys.stdout.write(json.dumps({"until": now.isoformat(timespec="seconds"), **found.as_json()}, indent=2) + "\n")
        return
    _print(found, now, len(resources) - len(ledgers), with_namespace=all_namespaces)


def _print(found: Report, now: datetime, without_ledger: int, *, with_namespace: bool) -> None:
    until = f" until {now:%Y-%m-%d %H:%M} UTC" if found.month == f"{now:%Y-%m}" else ""
    if not found.rows:
        sys.stdout.write(f"no GPU time was used or avoided in {found.month}{until}\n")
    else:
        sys.stdout.write(f"{found.month}{until}\n\n")
        print_table(cost_table(found, with_namespace=with_namespace), Console())
        sys.stdout.write("\n" + note(found) + "\n")
    if without_ledger:
        sys.stderr.write(f"{without_ledger} VoxTTSDeployments have no costs in their status yet\n")


def note(found: Report) -> str:
    """Return what the table's columns mean, with the figures that it does not show."""
    shown = [f"{where.rpartition('/')[2]} {gpus}" for where, gpus in [*found.peaks.items()][:SHOWN_PEAKS]]
    rest = ["the others: --output json"] if len(found.peaks) > SHOWN_PEAKS else []
    text = NOTE.format(peaks=", ".join([*shown, *rest]))
    if found.unpriced_gpu_hours:
        text += f" {found.unpriced_gpu_hours:,.1f} GPU hours have no price: set pricePerGpuHour of their regions."
    return text


def cost_table(found: Report, *, with_namespace: bool) -> Table:
    """Return the table of a report."""
    table = Table(box=None, pad_edge=False)
    for header in (*(["NAMESPACE"] if with_namespace else []), "NAME", "REGION", "POOL"):
        table.add_column(header)
    for header in ("GPU HOURS", "PRICE", "PAID", "AVOIDED HOURS", "AVOIDED BY SLEEPING", "SAVED BY SPOT", "SAVED"):
        table.add_column(header, justify="right")
    for row in (*found.rows, found.total):
        table.add_row(*([row.namespace] if with_namespace else []), *_cells(row))
    return table


def _cells(row: CostRow) -> tuple[str, ...]:
    return (
        row.name,
        row.region,
        row.pool,
        _number(row.gpu_hours, 1),
        _number(row.price, 3),
        _number(row.paid, 2),
        _number(row.avoided_gpu_hours, 1),
        _number(row.avoided_by_sleeping, 2),
        _number(row.saved_by_spot, 2),
        "" if row.saved_ratio is None else f"{row.saved_ratio:.1%}",
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
