"""A cluster ready for VoxFleet: packages, programs and images made side by side, then started and loaded.

Does: orders the long steps so that a first start takes as little time as two cores allow.
Knows: what may overlap. Does not know: how VoxFleet is installed; the demo and the tests do that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from voxfleet_testbed.cluster.local_cluster import REGIONAL_NODES, Cluster, start_cluster
from voxfleet_testbed.cluster.node_files import NodePlan
from voxfleet_testbed.events import Report, ignore
from voxfleet_testbed.images.project import PARTS, ProjectImages, build_project_images
from voxfleet_testbed.programs.go_builds import build, find_programs
from voxfleet_testbed.programs.go_modules import CLUSTER_PROGRAMS
from voxfleet_testbed.programs.packages import require_cluster_prerequisites
from voxfleet_testbed.settings import Settings, read_settings

# Helm compiles fastest after Kubernetes, whose packages it shares.
PROGRAMS = (*CLUSTER_PROGRAMS, "helm")


def prepare(settings: Settings, parts: Iterable[str] = PARTS, report: Report = ignore) -> ProjectImages:
    """Make everything a cluster needs before it starts: programs and images overlap."""
    require_cluster_prerequisites()
    with ThreadPoolExecutor(max_workers=2) as pool:
        programs = pool.submit(build, find_programs(settings), PROGRAMS, report)
        images = pool.submit(build_project_images, settings, tuple(parts), report)
        programs.result()
        return images.result()


def start_loaded_cluster(
    settings: Settings | None = None,
    *,
    parts: Iterable[str] = PARTS,
    images: ProjectImages | None = None,
    nodes: Sequence[NodePlan] = REGIONAL_NODES,
    report: Report = ignore,
) -> Cluster:
    """Start a cluster whose nodes have the project's images; end it with `close`, or let it live with `detach`.

    `images` are those that `prepare` made, where the caller needs their names.
    """
    settings = settings or read_settings()
    images = images or prepare(settings, parts, report)
    cluster = start_cluster(settings, nodes=nodes, mounts=images.mounts, report=report)
    try:
        cluster.load_images(images.archives, report)
    except BaseException:
        cluster.close()
        raise
    return cluster
