"""`voxfleet doctor`.

Knows: options, exit codes, what is printed. Does not know: what is read (observation.py), what is wrong (checks).
"""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.demand.commands import DemandNamespaceOption
from voxfleet_cli.demand.regions import DEMAND_NAMESPACE
from voxfleet_cli.doctor.checks import examine, worst
from voxfleet_cli.doctor.facts import Finding, State
from voxfleet_cli.doctor.observation import observe
from voxfleet_cli.options import (
    SYSTEM_NAMESPACE,
    ContextOption,
    KubeconfigOption,
    Output,
    OutputOption,
    SystemNamespaceOption,
)
from voxfleet_cli.printing import print_table

EXIT_CODES = {State.OK: 0, State.WARNING: 3, State.FAILURE: 4}
STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILURE: "bold red", State.NOT_CHECKED: "dim"}


def doctor(  # noqa: PLR0913  # an argument per option
    system_namespace: SystemNamespaceOption = SYSTEM_NAMESPACE,
    demand_namespace: DemandNamespaceOption = DEMAND_NAMESPACE,
    *,
    problems: Annotated[bool, typer.Option("--problems", help="Show warnings and failures alone.")] = False,
    kubeconfig: KubeconfigOption = None,
    kube_context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check an installation for what commonly goes wrong, with the command that mends each. Changes nothing.

    Exit codes: 0 nothing is wrong, 3 the worst is a warning, 4 a failure, 1 the API server did not respond.
    """
    with Console(stderr=True).status("reading the cluster"):
        findings = examine(observe(Cluster(kubeconfig, kube_context), system_namespace, demand_namespace))
    is_wrong = {State.WARNING, State.FAILURE}
    shown = [each for each in findings if each.state in is_wrong] if problems else findings
    if output is Output.JSON:
        sys.stdout.write(json.dumps([asdict(each) for each in shown], indent=2) + "\n")
    else:
        print_table(findings_table(shown), Console())
        sys.stdout.write("\n" + summary(findings) + "\n")
    raise typer.Exit(EXIT_CODES[worst(findings)])


def findings_table(findings: list[Finding]) -> Table:
    """Return the table of findings; a command stands below what it mends."""
    table = Table("CHECK", "STATE", "FINDING", box=None, pad_edge=False)
    for each in findings:
        is_command_shown = each.command and each.state in {State.WARNING, State.FAILURE}
        text = f"{each.text}\n$ {each.command}" if is_command_shown else each.text
        table.add_row(each.check, each.state, text, style=None if each.state is State.OK else STYLES[each.state])
    return table


def summary(findings: list[Finding]) -> str:
    """Return the counts of all states in one line."""
    counts = {state: sum(each.state is state for each in findings) for state in State}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)
