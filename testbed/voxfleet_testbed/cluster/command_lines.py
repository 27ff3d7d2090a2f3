"""The command lines of the control plane's programs, as values.

Knows: the flags. Does not know: how a process is started, or when it is ready.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The control plane's addresses and ports; `advertised`: the API server is published to pods."""

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
    """Return the address of Service `kubernetes.default`."""
    return str(ipaddress.ip_network(at.service_range)[1])


def etcd(program: Path, data: Path, at: Endpoints) -> tuple[str, ...]:
    """Return the command of a single etcd member that does not wait for the disk: its data ends with the run."""
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
    """Return the API server's command; without nodes its address is a loopback one, so it is not published to pods."""
    return (
        str(program),
        f"--etcd-servers={at.etcd}",
        f"--bind-address={at.address}",
        f"--advertise-address={at.address}",
        f"--secure-port={at.api_port}",
        # `none` leaves Service `kubernetes` without endpoints; a loopback address would be rejected there.
        f"--endpoint-reconciler-type={'lease' if at.advertised else 'none'}",
        f"--service-cluster-ip-range={at.service_range}",
        f"--client-ca-file={certificates}/ca.crt",
        f"--tls-cert-file={certificates}/apiserver.crt",
        f"--tls-private-key-file={certificates}/apiserver.key",
        # The administrator's certificate, so that `kubectl logs` and `exec` need no further RBAC.
        f"--kubelet-client-certificate={certificates}/admin.crt",
        f"--kubelet-client-key={certificates}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",  # nodes' names do not resolve
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={certificates}/service-accounts.pub",
        f"--service-account-signing-key-file={certificates}/service-accounts.key",
        "--authorization-mode=Node,RBAC",  # as production clusters: grants of the charts are tested against it
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        "--shutdown-delay-duration=0s",  # no load balancer has to notice, and tests restart it
    )


def kube_controller_manager(
    program: Path, kubeconfig: Path, certificates: Path, at: Endpoints, without: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the controller manager's command: all controllers but those named, one instance, no leader election."""
    return (
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",  # no metrics port, which two control planes would compete for
        "--leader-elect=false",  # a lease would delay a start by seconds
        "--use-service-account-credentials=true",  # each controller has its own account and only its own rights
        f"--root-ca-file={certificates}/ca.crt",
        f"--service-account-private-key-file={certificates}/service-accounts.key",
        f"--service-cluster-ip-range={at.service_range}",
        f"--controllers={','.join(['*', *(f'-{name}' for name in without)])}",
        "--profiling=false",
    )


def kube_scheduler(program: Path, kubeconfig: Path) -> tuple[str, ...]:
    """Return the scheduler's command: one instance, no leader election."""
    return (
        str(program),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
    )


def kube_proxy(program: Path, kubeconfig: Path, node: str) -> tuple[str, ...]:
    """Return kube-proxy's command: Service addresses by iptables, for pods and for this machine."""
    return (
        str(program),
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node}",
        "--proxy-mode=iptables",
        "--conntrack-max-per-core=0",  # 0 leaves the machine's limit as it is; a namespace may not change it
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
        "--iptables-min-sync-period=100ms",  # the default of 1 s delays every new Service in tests
    )
