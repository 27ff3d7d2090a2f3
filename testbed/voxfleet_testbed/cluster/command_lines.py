"""Every command line of the control plane, as values.

Knows: the flags. Does not know: how a process is started, or when it is ready.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the control plane listens; `advertised` is the address that pods reach the API server by."""

    address: str
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    service_range: str
    advertised: bool
    pod_range: str = ""

    @property
    def etcd(self) -> str:
        """The client URL of etcd."""
        return f"http://{self.address}:{self.etcd_port}"

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.api_port}"


def first_service_address(at: Endpoints) -> str:
    """The address of the Service `kubernetes.default`."""
    return str(ipaddress.ip_network(at.service_range)[1])


def etcd(program: Path, data: Path, at: Endpoints) -> tuple[str, ...]:
    """One etcd member that skips waiting for the disk: its data dies with the run anyway."""
    peer = f"http://{at.address}:{at.etcd_peer_port}"
    return (
        str(program),
        f"--data-dir={data}",
        f"--listen-client-urls={at.etcd}",
        f"--advertise-client-urls={at.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )


def kube_apiserver(program: Path, certificates: Path, at: Endpoints) -> tuple[str, ...]:
    """The API server; without nodes its address is of this machine only, so it is not published to pods."""
    return (
        str(program),
        f"--etcd-servers={at.etcd}",
        f"--bind-address={at.address}",
        f"--advertise-address={at.address}",
        f"--secure-port={at.api_port}",
        f"--endpoint-reconciler-type={'lease' if at.advertised else 'none'}",
        f"--service-cluster-ip-range={at.service_range}",
        f"--client-ca-file={certificates}/ca.crt",
        f"--tls-cert-file={certificates}/apiserver.crt",
        f"--tls-private-key-file={certificates}/apiserver.key",
        f"--kubelet-client-certificate={certificates}/admin.crt",
        f"--kubelet-client-key={certificates}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={certificates}/service-accounts.pub",
        f"--service-account-signing-key-file={certificates}/service-accounts.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
    )


def kube_controller_manager(program: Path, kubeconfig: Path, certificates: Path, at: Endpoints) -> tuple[str, ...]:
    """All controllers, quick to notice, alone (no leader election)."""
    return (
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--root-ca-file={certificates}/ca.crt",
        f"--service-account-private-key-file={certificates}/service-accounts.key",
        f"--service-cluster-ip-range={at.service_range}",
        "--profiling=false",
    )


def kube_scheduler(program: Path, kubeconfig: Path) -> tuple[str, ...]:
    """The scheduler, alone (no leader election)."""
    return (
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
    )


def kube_proxy(program: Path, kubeconfig: Path, node: str) -> tuple[str, ...]:
    """Service addresses by iptables, for pods and for this machine."""
    return (
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node}",
        "--proxy-mode=iptables",
        "--conntrack-max-per-core=0",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
        "--iptables-min-sync-period=100ms",
    )
