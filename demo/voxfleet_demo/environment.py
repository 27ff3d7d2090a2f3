"""The cluster that the demo runs on when the user gives none: a testbed with VoxFleet's images loaded.

Does: builds and starts what is missing, in parallel where possible. Knows: the testbed's interface. Does not know: the
scenario. The testbed outlives `make demo`; its run description has a purpose by which `make demo-down` finds it.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.assembly import prepare, start_loaded_cluster
from voxfleet_testbed.cluster.local_cluster import Cluster
from voxfleet_testbed.events import Report
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.packages import install_packages
from voxfleet_testbed.settings import Settings
from voxfleet_testbed.supervision.processes import attach
from voxfleet_testbed.supervision.run_folder import find_runs

from voxfleet_demo.installation import Installation, Programs, Values

COMMAND_LINE_TOOLS = ("helm", "kubectl")
PURPOSE = "demo"  # written into run.json, so that `make demo-down` ends no other testbed


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """A running testbed with VoxFleet's images loaded, and the chart values that fit it."""

    cluster: Cluster
    installation: Installation
    values: Values


def start_local_environment(settings: Settings, report: Report, *, weights: Path | None = None) -> LocalEnvironment:
    """Install packages, build programs and images, start a cluster and load the images into it.

    Args:
        settings: the testbed's settings.
        report: receives the phases.
        weights: a checkpoint folder of this machine that pods may mount; None: the images' demo voice.

    Raises:
        TestbedError: a package or Go is missing, or a build or a start failed.
    """
    install_packages(report)
    images = prepare(settings, report=report)
    tools = find_or_build_tools(settings, report)
    cluster = start_loaded_cluster(settings, images=images, report=report)
    return LocalEnvironment(
        cluster=cluster,
        installation=Installation(cluster.kubeconfig, tools),
        values=Values(
            images=images.names,
            # The demo's clients send Voxfleet-Client-Location themselves; the gateway believes only trusted proxies.
            trusted_proxies=(str(cluster.network.layout.network),),
            allowed_host_paths=(str(weights),) if weights else (),
            operate_without_key=True,  # this machine alone reaches its gateways
        ),
    )


def keep_running(environment: LocalEnvironment) -> None:
    """Let the demo's cluster outlive this process."""
    environment.cluster.control_plane.run.folder.describe(purpose=PURPOSE)
    environment.cluster.detach()


def end_demo(settings: Settings) -> int:
    """End every cluster that a demo left running; returns how many there were."""
    kept = [run for run in find_runs(settings.runs) if run.facts().get("purpose") == PURPOSE]
    for run in kept:
        attach(run).close()
    return len(kept)


def find_or_build_tools(settings: Settings, report: Report) -> Programs:
    """Return helm and kubectl: those on PATH, or the testbed's builds where PATH has none."""
    built = find_programs(settings)
    build(built, [name for name in COMMAND_LINE_TOOLS if shutil.which(name) is None], report)
    helm, kubectl = (Path(shutil.which(name) or built.path(name)) for name in COMMAND_LINE_TOOLS)
    return Programs(helm, kubectl)
