"""The ground the demo stands on: a cluster of its own from the testbed, or the user's.

Does: builds and starts what is missing, side by side where it can. Knows the testbed's interface. Does not know the
story. The testbed of a demo outlives the command, under a name that `make demo-down` finds.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.assembly import prepare, start_loaded_cluster
from voxfleet_testbed.cluster.whole import Cluster
from voxfleet_testbed.events import Report
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.packages import install_packages
from voxfleet_testbed.settings import Settings
from voxfleet_testbed.supervision.processes import attach
from voxfleet_testbed.supervision.run_folder import find_runs

from voxfleet_demo.installation import Installation, Programs, Values

TYPED = ("helm", "kubectl")
PURPOSE = "demo"  # what a demo's testbed says of itself, so that make demo-down ends no other


@dataclass(frozen=True, slots=True)
class LocalGround:
    """A running testbed with VoxFleet's images loaded."""

    cluster: Cluster
    installation: Installation
    values: Values


def start_local_ground(settings: Settings, report: Report, *, weights: Path | None = None) -> LocalGround:
    """Everything from a bare machine to a cluster that has VoxFleet's images."""
    install_packages(report)
    images = prepare(settings, report=report)
    programs = typed_programs(settings, report)
    cluster = start_loaded_cluster(settings, images=images, report=report)
    return LocalGround(
        cluster=cluster,
        installation=Installation(cluster.kubeconfig, programs),
        values=Values(
            images=images.names,
            # Here the client on this machine stands for a load balancer that knows where its listeners are.
            trusted_proxies=(str(cluster.network.layout.network),),
            allowed_host_paths=(str(weights),) if weights else (),
        ),
    )


def keep(ground: LocalGround) -> None:
    """Lets the demo's cluster outlive this command."""
    ground.cluster.control_plane.run.folder.describe(purpose=PURPOSE)
    ground.cluster.detach()


def end_demo(settings: Settings) -> int:
    """Ends every cluster that a demo kept; returns how many there were."""
    kept = [run for run in find_runs(settings.runs) if run.facts().get("purpose") == PURPOSE]
    for run in kept:
        attach(run).close()
    return len(kept)


def typed_programs(settings: Settings, report: Report) -> Programs:
    """What a platform engineer types: the machine's own helm and kubectl, or ours where it has none."""
    built = find_programs(settings)
    build(built, [name for name in TYPED if shutil.which(name) is None], report)
    helm, kubectl = (Path(shutil.which(name) or built.path(name)) for name in TYPED)
    return Programs(helm, kubectl)
