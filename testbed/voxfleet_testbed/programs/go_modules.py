"""Which programs a cluster needs, from which Go module, and the key under which a build is cached.

Knows: the go.mod files below testbed/go (separate, because a shared one would upgrade Kubernetes' dependencies) and the
linker flags. Does not know: how a build runs; go_builds.py does that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

DEFAULT_KUBERNETES = "1.34"
_KUBERNETES_PATCHES = {"1.34": "v1.34.4", "1.37": "v1.37.2"}
_VERSION_PACKAGE = "k8s.io/component-base/version"

# Helm checks a chart's kubeVersion against the version it was linked with; unset, that is Kubernetes 1.20.
HELM_LINKER_FLAGS = "-s -w -X helm.sh/helm/v3/internal/version.version=v3.19.5 " + " ".join(
    f"-X helm.sh/helm/v3/pkg/{package}.k8sVersion{part}"
    for package in ("chartutil", "lint/rules")
    for part in ("Major=1", "Minor=34")
)


def kubernetes_linker_flags(version: str) -> str:
    """Return the flags with which the programs of a Kubernetes version, such as 1.34, know their version."""
    major, minor = version.split(".")
    parts = {"gitVersion": _KUBERNETES_PATCHES[version], "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X {_VERSION_PACKAGE}.{part}={value}" for part, value in parts.items())


@dataclass(frozen=True, slots=True, eq=False)
class GoModule:
    """A go.mod below testbed/go and the programs built from it; `packages` maps a program to its Go package.

    `assets` are files of the published module that a program needs at run time, by their paths in that module;
    `tags` are Go's build tags, comma-separated.
    """

    name: str
    packages: dict[str, str]
    linker_flags: str = "-s -w"
    assets: tuple[str, ...] = ()
    tags: str = ""


_KUBERNETES_PROGRAMS = {
    name: f"k8s.io/kubernetes/cmd/{name}"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
}
# One of them is in use; TESTBED_KUBERNETES names it.
KUBERNETES: Mapping[str, GoModule] = MappingProxyType(
    {
        version: GoModule(
            "kubernetes" if version == DEFAULT_KUBERNETES else f"kubernetes-{version}",
            _KUBERNETES_PROGRAMS,
            kubernetes_linker_flags(version),
        )
        for version in _KUBERNETES_PATCHES
    }
)
GO_MODULES: tuple[GoModule, ...] = (
    GoModule("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
    KUBERNETES[DEFAULT_KUBERNETES],
    # Separate, because most machines have a kubectl; the same versions as above, so both share Go's build cache.
    GoModule("kubectl", {"kubectl": "k8s.io/kubernetes/cmd/kubectl"}, kubernetes_linker_flags(DEFAULT_KUBERNETES)),
    GoModule("coredns", {"coredns": "."}),
    GoModule("pause", {"pause": "."}),
    # SIG Network's engine, with a main function of our own.
    GoModule("kube-network-policies", {"kube-network-policies": "."}),
    GoModule("helm", {"helm": "helm.sh/helm/v3/cmd/helm"}, HELM_LINKER_FLAGS),
    # Without service discovery, whose clients of clouds are packages that nothing here needs.
    GoModule("prometheus", {"promtool": "github.com/prometheus/prometheus/cmd/promtool"}, tags="remove_all_sd"),
    # Only `make demo METRICS=1` builds it. Apart from promtool, which every test run builds, with fewer packages.
    GoModule(
        "prometheus-server",
        {"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
        tags="remove_all_sd,enable_kubernetes_sd",
    ),
    # Checks the workflow files of a release, which cannot run here.
    GoModule("actionlint", {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"}),
    GoModule(
        "kwok",
        {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        assets=(
            "kustomize/stage/node/fast/node-initialize.yaml",
            "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
            "kustomize/stage/pod/fast/pod-ready.yaml",
            "kustomize/stage/pod/general/pod-delete.yaml",
        ),
    ),
    # A controller of the Gateway API, which configures an Envoy; the definitions are of the version that it reads.
    GoModule(
        "contour",
        {"contour": "github.com/projectcontour/contour/cmd/contour"},
        assets=("examples/gateway/00-crds.yaml", "examples/contour/01-crds.yaml"),
    ),
    # Karpenter's own controllers with its simulated cloud, whose nodes kwok keeps ready.
    GoModule(
        "karpenter",
        {"karpenter": "sigs.k8s.io/karpenter/kwok"},
        assets=(
            "pkg/apis/crds/karpenter.sh_nodepools.yaml",
            "pkg/apis/crds/karpenter.sh_nodeclaims.yaml",
            "pkg/apis/crds/karpenter.sh_nodeoverlays.yaml",
            "pkg/apis/crds/autoscaling.x-k8s.io_capacitybuffers.yaml",
            "kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml",
        ),
    ),
)

CONTROL_PLANE_PROGRAMS = ("etcd", "kube-apiserver")
CONTROLLER_PROGRAMS = ("kube-controller-manager",)
CLUSTER_PROGRAMS = (
    *CONTROL_PLANE_PROGRAMS,
    *CONTROLLER_PROGRAMS,
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
    "pause",
)
SIMULATION_PROGRAMS = (*CONTROL_PLANE_PROGRAMS, *CONTROLLER_PROGRAMS, "kube-scheduler", "kwok", "karpenter")
POLICY_PROGRAMS = (*CONTROL_PLANE_PROGRAMS, "kube-proxy", "kube-network-policies")
CHECKING_PROGRAMS = ("helm", "kubectl", "promtool", "actionlint")  # charts, docs, alerts, workflow files
PROXY_PROGRAMS = ("contour",)  # for tests of ways in
ALL_PROGRAMS = tuple(program for module in GO_MODULES for program in module.packages)


def go_modules(kubernetes: str = DEFAULT_KUBERNETES) -> tuple[GoModule, ...]:
    """Return the table with a version of Kubernetes; kubectl stays the default's."""
    default = KUBERNETES[DEFAULT_KUBERNETES]
    return tuple(KUBERNETES[kubernetes] if module is default else module for module in GO_MODULES)


def by_go_module(
    programs: Iterable[str], modules: tuple[GoModule, ...] = GO_MODULES
) -> dict[GoModule, tuple[str, ...]]:
    """Group programs by Go module, in the order of the table.

    Raises:
        ValueError: a program is not in the table.
    """
    wanted = set(programs)
    if unknown := wanted - set(ALL_PROGRAMS):
        raise ValueError(f"unknown programs {sorted(unknown)}; known are {', '.join(ALL_PROGRAMS)}")
    grouped = {module: tuple(name for name in module.packages if name in wanted) for module in modules}
    return {module: names for module, names in grouped.items() if names}


def build_key(module: GoModule, sources: Path) -> str:
    """Return the cache key of a build: a hash of its module files, its own Go files, flags, tags and asset names."""
    digest = hashlib.sha256(module.linker_flags.encode() + module.tags.encode())
    for asset in module.assets:
        digest.update(b"\0" + asset.encode())
    for source in sorted([*sources.glob("*.go"), sources / "go.mod", sources / "go.sum"]):
        if source.exists():
            digest.update(b"\0" + source.name.encode() + b"\0" + source.read_bytes())
    return f"{module.name}-{digest.hexdigest()[:16]}"


def required_go_version(go_mod: str) -> tuple[int, ...]:
    """Return the Go version in the text of a go.mod, such as (1, 24, 0)."""
    line = next(line for line in go_mod.splitlines() if line.startswith("go "))
    return parse_version(line.removeprefix("go "))


def parse_version(text: str) -> tuple[int, ...]:
    """Return '1.26.8' (or 'go1.26rc1') as numbers that compare: (1, 26, 8)."""
    numbers = text.strip().removeprefix("go").partition("rc")[0].split(".")
    return tuple(int(number) for number in numbers)
