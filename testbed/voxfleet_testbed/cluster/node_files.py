"""The files of one node, as values: containerd's and the kubelet's configuration, the pod network, the base spec.

A setting that differs from the defaults is needed because several nodes share one machine, or because the machine may
itself be a container.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxfleet_testbed.images.archives import PAUSE_IMAGE
from voxfleet_testbed.images.mounts import Mount

MAX_PODS = 110  # the kubelet's default


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A node to start: its name, its region, how many simulated GPUs it advertises, and further labels."""

    name: str
    region: str
    gpus: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_labels(self) -> dict[str, str]:
        """The topology labels that a cloud provider sets, and the plan's own."""
        topology = "topology.kubernetes.io"
        return {f"{topology}/region": self.region, f"{topology}/zone": f"{self.region}-a", **self.labels}


@dataclass(frozen=True, slots=True)
class NodePaths:
    """The paths of one node, all below its own folder."""

    folder: Path

    @property
    def containerd(self) -> Path:
        """The folder of containerd's root and state; traces.py looks for shims below it."""
        return self.folder / "containerd"

    @property
    def socket(self) -> Path:
        """The socket of containerd."""
        return self.containerd / "containerd.sock"

    @property
    def network_configuration(self) -> Path:
        """The CNI folder, with this node's only network."""
        return self.folder / "cni"

    @property
    def base_spec(self) -> Path:
        """The OCI spec on which every container's spec is based."""
        return self.folder / "base-spec.json"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root folder."""
        return self.folder / "kubelet"


def containerd_config(paths: NodePaths, *, with_base_spec: bool) -> str:
    """Return a configuration whose paths differ from every other containerd's on this machine."""
    base_spec = f'base_runtime_spec = "{paths.base_spec}"' if with_base_spec else ""
    return f"""version = 2
root = "{paths.containerd}/root"
state = "{paths.containerd}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{paths.socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{paths.containerd}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE (inside a container) runc fails to lower a score.
restrict_oom_score_adj = true
# Network namespaces are then mounted below the run's folder, where traces.py unmounts them.
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
{base_spec}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{paths.network_configuration}"
"""


def base_spec(default: Mapping[str, Any], mounts: Sequence[Mount]) -> dict[str, Any]:
    """Return containerd's default OCI spec with read-only bind mounts added."""
    added = [
        {"destination": mount.destination, "type": "bind", "source": str(mount.source), "options": ["rbind", "ro"]}
        for mount in mounts
    ]
    return {**default, "mounts": [*default["mounts"], *added]}


def pod_network(network_name: str, bridge: str, subnet: str, leases: Path) -> str:
    """Return the CNI network of one node: a bridge, addresses from the node's subnet, host ports."""
    bridge_plugin = {
        "type": "bridge",
        "bridge": bridge,
        "isGateway": True,
        "ipMasq": False,  # pods talk to other nodes and this machine with their own addresses
        "hairpinMode": True,  # a pod reaches itself through its Service
        "ipam": {
            "type": "host-local",
            "dataDir": str(leases),
            "ranges": [[{"subnet": subnet}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    plugins = [bridge_plugin, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return json.dumps({"cniVersion": "1.0.0", "name": network_name, "plugins": plugins}, indent=1)


def kubelet_config(paths: NodePaths, certificates: Path, cgroup_root: str, dns_address: str, port: int) -> str:
    """Return the configuration of a kubelet that shares its machine: no eviction, no image collection, own folders."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "port": port,
            "healthzPort": port + 1000,  # the default is one port for all kubelets of the network namespace
            "readOnlyPort": 0,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{certificates}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{paths.folder}/kubelet.crt",
            "tlsPrivateKeyFile": f"{paths.folder}/kubelet.key",
            "containerRuntimeEndpoint": f"unix://{paths.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup_root,
            "failCgroupV1": False,
            "failSwapOn": False,
            # Several nodes share one machine's memory and disk, so none may reserve them or evict pods for them.
            "enforceNodeAllocatable": [],
            "evictionHard": {},
            # Image collection would remove the pause image on a full disk, and every pod would hang.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            # Their defaults are folders of the whole machine, which two kubelets would share.
            "podLogsDir": f"{paths.folder}/pod-logs",
            "volumePluginDir": f"{paths.folder}/volume-plugins",
            "resolvConf": f"{paths.folder}/resolv.conf",
            "syncFrequency": "10s",  # until the pods that mount a Secret have its change; the default is a minute
            "clusterDomain": "cluster.local",
            "clusterDNS": [dns_address],
            "maxPods": MAX_PODS,
            "registryPullQPS": 0,  # 0: no limit
            "eventRecordQPS": 0,
            "shutdownGracePeriod": "0s",
            "localStorageCapacityIsolation": False,  # needs a root file system that cAdvisor can identify
        },
        indent=1,
    )


def kubelet_command(program: Path, paths: NodePaths, kubeconfig: Path, plan: NodePlan, address: str) -> tuple[str, ...]:
    """Return the kubelet's command: the flags that its configuration file has no field for."""
    labels = ",".join(f"{key}={value}" for key, value in plan.all_labels.items())
    return (
        str(program),
        f"--config={paths.folder}/kubelet.json",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={paths.kubelet}",
        f"--cert-dir={paths.kubelet}/pki",
        f"--hostname-override={plan.name}",
        f"--node-ip={address}",
        f"--node-labels={labels}",
    )
