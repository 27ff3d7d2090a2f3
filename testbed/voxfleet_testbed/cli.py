"""The command line: `python -m voxfleet_testbed up|down|status|prepare|build|images|packages`.

Does: shows progress, prints paths, turns expected errors into one line and exit status 1. Knows: typer and rich.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from voxfleet_testbed.assembly import PROGRAMS, start_loaded_cluster
from voxfleet_testbed.assembly import prepare as prepare_cluster
from voxfleet_testbed.cluster.local_cluster import REGIONAL_NODES
from voxfleet_testbed.cluster.node_files import NodePlan
from voxfleet_testbed.errors import StartError, TestbedError
from voxfleet_testbed.events import Report
from voxfleet_testbed.images.project import PARTS, build_project_images
from voxfleet_testbed.phase_display import show_phases
from voxfleet_testbed.programs.go_builds import build as build_programs
from voxfleet_testbed.programs.go_builds import find_programs
from voxfleet_testbed.programs.go_modules import (
    ALL_PROGRAMS,
    CHECKING_PROGRAMS,
    CONTROL_PLANE_PROGRAMS,
    CONTROLLER_PROGRAMS,
    POLICY_PROGRAMS,
    PROXY_PROGRAMS,
    SIMULATION_PROGRAMS,
)
from voxfleet_testbed.programs.packages import (
    FIREFOX_PACKAGE_OF,
    PACKAGE_OF,
    WEBKIT_PACKAGE_OF,
    install_packages,
    require_cluster_prerequisites,
)
from voxfleet_testbed.settings import read_settings
from voxfleet_testbed.supervision.processes import attach
from voxfleet_testbed.supervision.run_folder import RunFolder, find_runs, is_alive
from voxfleet_testbed.supervision.traces import sweep

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A real local Kubernetes for VoxFleet.")
console = Console()
# What runs without root: it needs no containers and no network namespace.
ROOTLESS_PROGRAMS = (*CONTROL_PLANE_PROGRAMS, *CONTROLLER_PROGRAMS)
Parts = Annotated[list[str] | None, typer.Option("--part", help=f"Only these images ({', '.join(PARTS)}).")]


def main() -> None:
    """Run the command line."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the message for users of an older Python
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    try:
        find_programs(read_settings())
    except TestbedError as error:
        sys.exit(str(error))
    app()


@app.command()
def up(
    kubeconfig: Annotated[Path | None, typer.Option(help="Also write the kubeconfig here.")] = None,
    part: Parts = None,
    gpus: Annotated[int, typer.Option(help="Simulated GPUs that each node advertises.")] = 0,
) -> None:
    """Start a cluster with a node in eu-central and one in us-east, VoxFleet's images loaded."""
    with report_phases() as report:
        install_packages(report)
        nodes = tuple(NodePlan(node.name, node.region, gpus) for node in REGIONAL_NODES)
        cluster = start_loaded_cluster(parts=PARTS if part is None else tuple(part), nodes=nodes, report=report)
        cluster.detach()
    if kubeconfig is not None:
        shutil.copy2(cluster.kubeconfig, kubeconfig)
    console.print(f"\nexport KUBECONFIG={kubeconfig or cluster.kubeconfig}", highlight=False, soft_wrap=True)
    console.print("Take it down with: python -m voxfleet_testbed down", highlight=False)


@app.command()
def down(
    run_id: Annotated[str | None, typer.Argument(help="End this run only; default: all that `up` started.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also end runs that tests are using.")] = False,
) -> None:
    """End clusters and remove their processes, mounts, cgroups, interfaces and files."""
    runs = read_settings().runs
    for swept in sweep(runs):
        console.print(f"removed the remains of {swept}")
    for run in find_runs(runs):
        selected = run.run_id == run_id if run_id else everything or run.facts().get("detached", False)
        if selected and is_alive(run):
            attach(run).close()
            console.print(f"ended {run.run_id}")


@app.command()
def status() -> None:
    """List running clusters and control planes."""
    table = Table("run", "age", "nodes", "processes", Column("server and kubeconfig", overflow="fold"))
    alive = [run for run in find_runs(read_settings().runs) if is_alive(run)]
    for run in alive:
        table.add_row(*status_row(run, time.time()))
    console.print(table if alive else "no testbed is running")


@app.command()
def build(
    program: Annotated[list[str] | None, typer.Argument(help=f"Any of {', '.join(ALL_PROGRAMS)}.")] = None,
    *,
    control_plane: Annotated[bool, typer.Option(help="Only etcd, API server and controllers.")] = False,
) -> None:
    """Build the named programs; by default those of a cluster, and helm."""
    wanted = tuple(program or (ROOTLESS_PROGRAMS if control_plane else PROGRAMS))
    programs = find_programs(read_settings())
    with report_phases() as report:
        build_programs(programs, wanted, report)
    for name in wanted:
        console.print(f"{name:<24} {programs.path(name)}", highlight=False, soft_wrap=True)


@app.command()
def prepare() -> None:
    """Install and build all that the tests use: without root, only what simulated nodes and checks need."""
    settings = read_settings()
    with report_phases() as report:
        if os.geteuid() == 0 and shutil.which("apt-get"):
            install_packages(report)
            prepare_cluster(settings, report=report)
            build_programs(find_programs(settings), POLICY_PROGRAMS, report)
        build_programs(find_programs(settings), (*SIMULATION_PROGRAMS, *CHECKING_PROGRAMS, *PROXY_PROGRAMS), report)


@app.command()
def images(part: Parts = None) -> None:
    """Build VoxFleet's images and the folders that they mount."""
    with report_phases() as report:
        require_cluster_prerequisites()
        built = build_project_images(read_settings(), PARTS if part is None else tuple(part), report)
    for name, archive in zip(built.names.values(), built.archives, strict=True):
        console.print(f"{name:<40} {archive}", highlight=False, soft_wrap=True)
    for mount in built.mounts:
        console.print(f"{mount.destination:<40} {mount.source}", highlight=False, soft_wrap=True)


@app.command()
def packages(
    *, browsers: Annotated[bool, typer.Option("--browsers", help="Those of Firefox and WebKitGTK instead.")] = False
) -> None:
    """Install the Debian packages that a cluster with nodes needs."""
    table = FIREFOX_PACKAGE_OF | WEBKIT_PACKAGE_OF if browsers else PACKAGE_OF
    with report_phases() as report:
        installed = install_packages(report, table)
    console.print(f"installed {' '.join(installed)}" if installed else "nothing is missing")


def status_row(run: RunFolder, now: float) -> tuple[str, ...]:
    """Return one run as the cells of a table row."""
    facts = run.facts()
    age = f"{max(0.0, now - facts.get('started_at', now)) / 60:.0f} min"
    nodes = "\n".join(facts.get("nodes", {})) or "none"
    where = f"{facts.get('server', 'starting')}\n{run.kubeconfig}"
    return run.run_id, age, nodes, processes_state(run), where


def processes_state(run: RunFolder) -> str:
    """Return the number of running processes, or the names of those that ended."""
    try:
        processes = attach(run).processes()
    except StartError:
        return "[yellow]starting or ending[/]"
    ended = [name for name, exit_status in processes.items() if exit_status is not None]
    return f"[red]ended: {', '.join(ended)}[/]" if ended else f"{len(processes)} running"


@contextmanager
def report_phases() -> Iterator[Report]:
    """Show phases on the terminal; a TestbedError ends the command with one line and exit status 1."""
    try:
        with show_phases(console) as report:
            yield report
    except TestbedError as error:
        Console(stderr=True).print(f"[red]testbed:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        # The supervisor removes the run as soon as this process closes its pipe, so nothing is left to do here.
        Console(stderr=True).print("testbed: interrupted; all that it started is being removed")
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells report it
