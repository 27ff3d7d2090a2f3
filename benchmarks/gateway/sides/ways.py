"""The ways from a client to the same stub pods: direct, through nginx, through one or more gateways.

Knows: how each process is started, found and stopped. Does not know: the clients, or what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sides.nginx import configuration, find_nginx
from sides.processes import Cores, running
from sides.scenario import APPS, DEMAND, SYSTEM, Scenario, region_name

PROGRAM = Path(__file__).parents[1]
START_SECONDS = 120.0  # a busy machine starts slowly
CHECK_SECONDS = 0.02
PROFILE_SIGNAL = signal.SIGUSR1  # sent once the gateway is ready, so that the profile holds no imports
DIRECT, NGINX, GATEWAY = "direct", "nginx", "gateway"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the pods: the ports that clients connect to, and the measured processes."""

    name: str
    ports: tuple[int, ...]
    pids: tuple[int, ...] = ()
    logs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways of one measurement, and the process of the stub pods."""

    direct: Way
    gateway: Way
    nginx: Way | None
    stub_pid: int

    @property
    def all(self) -> tuple[Way, ...]:
        """Those that exist, in the order of a round."""
        return tuple(way for way in (self.direct, self.nginx, self.gateway) if way is not None)

    def pids(self) -> dict[str, tuple[int, ...]]:
        """Return every process by its name: each way, the stub, and this client."""
        measured = {way.name: way.pids for way in self.all if way.pids}
        return measured | {"stub": (self.stub_pid,), "client": (os.getpid(),)}


@contextlib.contextmanager
def opened(
    scenario: Scenario, cores: Cores, *, gateways: int = 1, has_nginx: bool = True, profile: Path | None = None
) -> Iterator[Ways]:
    """Start stub, nginx and gateways; yields the ways through them once all respond."""
    raise_open_files()
    with tempfile.TemporaryDirectory(prefix="voxfleet-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        api_port, pod_ports, stub_pid = stack.enter_context(_stub(scenario, cores))
        nginx = stack.enter_context(_nginx(folder, cores, pod_ports)) if has_nginx and find_nginx() else None
        started = [
            stack.enter_context(_gateway(folder, number, cores, api_port, profile if number == 0 else None))
            for number in range(gateways)
        ]
        gateway = Way(
            GATEWAY,
            tuple(port for each in started for port in each.ports),
            tuple(pid for each in started for pid in each.pids),
            tuple(log for each in started for log in each.logs),
        )
        yield Ways(Way(DIRECT, pod_ports), gateway, nginx, stub_pid)


def raise_open_files() -> None:
    """Allow as many open files as the system lets this process and its children have."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def _stub(scenario: Scenario, cores: Cores) -> Iterator[tuple[int, tuple[int, ...], int]]:
    command = [sys.executable, str(PROGRAM), "--stub", scenario.to_json()]
    with running(command, cores.others, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise SystemExit("the stub process ended before it listened; its message is above")
        ports = json.loads(line)
        yield ports["api"], tuple(ports["pods"]), process.pid


@contextlib.contextmanager
def _nginx(folder: Path, cores: Cores, pod_ports: tuple[int, ...]) -> Iterator[Way]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, port, pod_ports), encoding="utf-8")
    with running([str(find_nginx()), "-c", str(file), "-e", str(folder / "error.log")], cores.measured[:1]) as process:
        _until(lambda: _accepts(port), process, "nginx accepts connections")
        yield Way(NGINX, (port,), (process.pid,))


@contextlib.contextmanager
def _gateway(folder: Path, number: int, cores: Cores, api_port: int, profile: Path | None) -> Iterator[Way]:
    log = folder / f"gateway-{number}.log"
    core = cores.measured[number % len(cores.measured)]
    profiled = [str(PROGRAM / "sides" / "profiled_gateway.py"), str(profile), str(PROFILE_SIGNAL.value)]
    command = [sys.executable, *(["-m", "voxfleet_gateway"] if profile is None else profiled)]
    environment = os.environ | _settings(number, _kubeconfig(folder, api_port))
    with (
        log.open("w", encoding="utf-8") as output,
        running(command, (core,), env=environment, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        ports = _until(lambda: _listening(log), process, f"the gateway listens ({log.name})", log)
        _until(lambda: _is_ready(ports["api"]), process, "the gateway is ready", log)
        if profile is not None:
            process.send_signal(PROFILE_SIGNAL)
        yield Way(GATEWAY, (ports["api"],), (process.pid,), (log,))


def _settings(number: int, kubeconfig: Path) -> dict[str, str]:
    return {
        "VOXFLEET_REGION": region_name(0), "VOXFLEET_INTERNAL_KEY": "benchmark", "VOXFLEET_KUBECONFIG": str(kubeconfig),
        "VOXFLEET_SYSTEM_NAMESPACE": SYSTEM, "VOXFLEET_DEMAND_NAMESPACE": DEMAND, "VOXFLEET_HOST": "127.0.0.1",
        "VOXFLEET_PORT": "0", "VOXFLEET_METRICS_PORT": "0", "VOXFLEET_INTERNAL_PORT": "0", "VOXFLEET_REPLICAS": "1",
        "VOXFLEET_POD_NAME": f"gateway-{number}", "VOXFLEET_TRUSTED_PROXIES": "127.0.0.0/8",
        "VOXFLEET_DRAIN_GRACE_SECONDS": "0", "VOXFLEET_DRAIN_SECONDS": "1", "PYTHONUNBUFFERED": "1",
    }  # fmt: skip


def _kubeconfig(folder: Path, api_port: int) -> Path:
    path = folder / "kubeconfig"
    named = {"cluster": "stub", "user": "stub", "namespace": APPS}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": f"http://127.0.0.1:{api_port}"}}],
        "users": [{"name": "stub", "user": {"token": "stub"}}],
        "contexts": [{"name": "stub", "context": named}],
        "current-context": "stub",
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _listening(log: Path) -> dict[str, int] | None:
    for line in log.read_text(encoding="utf-8").splitlines():
        if '"event":"listening"' in line:
            ports: dict[str, int] = json.loads(line)["ports"]
            return ports
    return None


def _is_ready(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def _until(check: Any, process: subprocess.Popen[str], what: str, log: Path | None = None) -> Any:
    deadline = time.monotonic() + START_SECONDS
    while not (found := check()):
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(encoding="utf-8")[-2000:] if log is not None else ""
            raise SystemExit(f"not seen: {what}; exit status {process.poll()}\n{last}")
        time.sleep(CHECK_SECONDS)
    return found
