"""A cluster ready for VoxFleet: programs and images are built in parallel, then nodes start and load the images.

Does: orders the long steps for a short first start on two cores. Knows: which steps may overlap.
Does not know: how VoxFleet is installed; the demo and the tests do that.
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
    """Build the programs and images that a cluster needs, both in parallel; cached builds return at once.

    Raises:
        UnavailableError: this machine lacks root, a package or Go.
        BuildError: a build failed.
    """
    require_cluster_prerequisites()
    # `go build` uses all cores, an image build waits for the network and the disk most of the time.
    with ThreadPoolExecutor(max_workers=2) as pool:
        programs = pool.submit(build, find_programs(settings), PROGRAMS, report)
        images = pool.submit(build_project_images, settings, tuple(parts), report)
        programs.result()  # first, so that a failed Go build is not hidden by the images
        return images.result()


def start_loaded_cluster(
    settings: Settings | None = None,
    *,
    parts: Iterable[str] = PARTS,
    images: ProjectImages | None = None,
    nodes: Sequence[NodePlan] = REGIONAL_NODES,
    report: Report = ignore,
) -> Cluster:
    """Start a cluster whose nodes have the project's images.

    End it with `close`, or call `detach` to let it outlive this process. Pass the `images` that `prepare` returned
    when their names are needed; otherwise they are built here.
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
