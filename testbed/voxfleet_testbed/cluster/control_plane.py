"""A control plane: etcd and an API server, optionally the controller manager, in one run folder.

Does: writes certificates, starts the processes, waits until they are ready, stops them.
Knows: the order of starting. Does not know: nodes; local_cluster.py adds them.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from voxfleet_testbed.cluster import command_lines
from voxfleet_testbed.cluster.api import Api, api_from_kubeconfig
from voxfleet_testbed.cluster.command_lines import Endpoints
from voxfleet_testbed.events import Report, ignore, phase
from voxfleet_testbed.network.addresses import free_ports, loopback_address
from voxfleet_testbed.network.certificates import (
    ADMINISTRATORS,
    Authority,
    Identity,
    KeyPair,
    make_authority,
    make_service_account_keys,
    server_identity,
)
from voxfleet_testbed.network.kubeconfigs import kubeconfig
from voxfleet_testbed.network.links import Network
from voxfleet_testbed.programs.go_builds import Programs, build, find_programs
from voxfleet_testbed.programs.go_modules import CONTROL_PLANE_PROGRAMS, CONTROLLER_PROGRAMS
from voxfleet_testbed.settings import Settings, read_settings
from voxfleet_testbed.supervision.processes import Process, Run, begin_run
from voxfleet_testbed.supervision.run_folder import RunFolder

READY_SECONDS = 60.0
LONE_SERVICE_RANGE = "10.0.0.0/24"  # no process routes it: without nodes Services are objects only
ADMIN = Identity("voxfleet-testbed-admin", ADMINISTRATORS)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane; stop it with `close`, or use `running_control_plane`."""

    run: Run
    endpoints: Endpoints
    programs: Programs
    authority: Authority
    network: Network | None = None

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.run.folder.kubeconfig

    @property
    def certificates(self) -> Path:
        """The folder of certificates and keys."""
        return self.run.folder.path / "certificates"

    @property
    def api(self) -> Api:
        """A client with the administrator's rights."""
        return api_from_kubeconfig(self.kubeconfig)

    def start_process(self, name: str, command: tuple[str, ...], environment: dict[str, str] | None = None) -> None:
        """Start one more process in the cluster's network namespace, if it has one."""
        self.run.start(Process(name, self.network.enter(command) if self.network else command, environment or {}))

    def start_controllers(self, without: tuple[str, ...] = ()) -> None:
        """Start the controller manager: Deployments create pods, owned objects are collected."""
        program = self.programs.path("kube-controller-manager")
        command = command_lines.kube_controller_manager(
            program, self.kubeconfig, self.certificates, self.endpoints, without
        )
        self.start_process("kube-controller-manager", command)

    def restart_api_server(self, away_seconds: float = 0.0) -> None:
        """Stop the API server and start it again after a time, as an outage."""
        self.run.stop("kube-apiserver")
        time.sleep(away_seconds)
        self.start_api_server()

    def start_api_server(self) -> None:
        """Start the API server and wait until it is ready.

        Raises:
            StartError: it ended, or was not ready in time.
        """
        program = self.programs.path("kube-apiserver")
        self.start_process("kube-apiserver", command_lines.kube_apiserver(program, self.certificates, self.endpoints))
        self.run.wait_until(self.api.is_ready, "kube-apiserver", READY_SECONDS)

    def close(self) -> None:
        """Stop all processes and remove the run."""
        self.run.close()


@contextmanager
def running_control_plane(
    settings: Settings | None = None, *, controllers: bool = False, report: Report = ignore
) -> Iterator[ControlPlane]:
    """Run a control plane for as long as the block runs; it ends with this process, however that ends."""
    control_plane = start_control_plane(settings, controllers=controllers, report=report)
    try:
        yield control_plane
    finally:
        control_plane.close()


def start_control_plane(
    settings: Settings | None = None,
    *,
    controllers: bool = False,
    without_controllers: tuple[str, ...] = (),
    report: Report = ignore,
) -> ControlPlane:
    """Build missing programs, start etcd and an API server on a loopback address of their own.

    Args:
        settings: the testbed's settings; None: from the environment.
        controllers: also start the controller manager.
        without_controllers: names of its controllers that stay off.
        report: receives the phases.

    Raises:
        UnavailableError: Go is missing.
        BuildError: a program did not compile.
        StartError: a process ended, or was not ready in time.
    """
    settings = settings or read_settings()
    programs = find_programs(settings)
    build(programs, CONTROL_PLANE_PROGRAMS + (CONTROLLER_PROGRAMS if controllers else ()), report)
    run = begin_run(settings.runs)  # from here on an error must close the run
    try:
        with phase(report, "control plane"):
            control_plane = start_in_run(run, programs, _lone_endpoints(run.folder))
            if controllers:
                control_plane.start_controllers(without_controllers)
    except BaseException:
        run.close()
        raise
    return control_plane


def start_in_run(run: Run, programs: Programs, endpoints: Endpoints, network: Network | None = None) -> ControlPlane:
    """Start etcd and the API server in an existing run."""
    authority = write_certificates(run.folder, endpoints)
    control_plane = ControlPlane(run, endpoints, programs, authority, network)
    data = run.folder.path / "etcd"
    control_plane.start_process("etcd", command_lines.etcd(programs.path("etcd"), data, endpoints))
    control_plane.start_api_server()
    run.folder.describe(server=endpoints.server, started_at=time.time())
    return control_plane


def write_certificates(folder: RunFolder, endpoints: Endpoints) -> Authority:
    """Write the run's certificates, keys and administrator's kubeconfig; returns the authority that signed them."""
    now = dt.datetime.now(dt.UTC)
    authority = make_authority(folder.trace_name, now)
    # Clients reach the API server by its own address, pods by the Service's, `kubectl port-forward` by 127.0.0.1.
    addresses = (endpoints.address, command_lines.first_service_address(endpoints), "127.0.0.1")
    accounts, admin = make_service_account_keys(), authority.issue(ADMIN, now)
    folder.write("certificates/ca.crt", authority.pem())
    folder.write("certificates/service-accounts.pub", accounts.certificate)
    folder.write("certificates/service-accounts.key", accounts.key, 0o600)
    write_pair(folder, "apiserver", authority.issue(server_identity(addresses), now))
    write_pair(folder, "admin", admin)
    write_kubeconfig(folder, "kubeconfig", endpoints, authority, admin)
    return authority


def write_pair(folder: RunFolder, name: str, pair: KeyPair) -> None:
    """Write NAME.crt, and NAME.key readable by this user only."""
    folder.write(f"certificates/{name}.crt", pair.certificate)
    folder.write(f"certificates/{name}.key", pair.key, 0o600)


def write_kubeconfig(folder: RunFolder, name: str, endpoints: Endpoints, authority: Authority, user: KeyPair) -> Path:
    """Write a kubeconfig for one user, as JSON, which is YAML too."""
    # The run's name, so that contexts of several clusters can be merged into one kubeconfig.
    config = kubeconfig(endpoints.server, authority.pem(), user, name=folder.trace_name)
    return folder.write(name, json.dumps(config, indent=1).encode(), 0o600)


def _lone_endpoints(folder: RunFolder) -> Endpoints:
    address = loopback_address(int(folder.run_id, 16))
    etcd_port, peer_port, api_port = free_ports(address, 3)
    return Endpoints(address, etcd_port, peer_port, api_port, LONE_SERVICE_RANGE, advertised=False)
