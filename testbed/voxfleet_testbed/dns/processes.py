"""Starts the DNS engine and PowerDNS as processes, and ends them.

Knows: commands, configuration files, when a process is ready. Does not know: zones, what is asked.
PowerDNS runs with the chart's own configuration; only addresses and paths differ.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voxfleet_testbed.errors import UnavailableError

CONFIGURATION = Path(__file__).parents[3] / "charts/voxfleet/files/dns/pdns.conf"
READY_SECONDS = 90.0  # a loaded machine takes long to start Python
STOP_SECONDS = 10.0
CHECK_SECONDS = 0.05
LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class RunningProcess:
    """A process with its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, *, kill: bool = False) -> int:
        """End it and return its exit code; `kill` gives it no time."""
        if self.process.poll() is None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def output(self) -> str:
        """Return what it wrote."""
        return self.log.read_text(errors="replace")


@dataclass(slots=True)
class DnsServers:
    """One engine and one PowerDNS; each can be stopped and started again, as Kubernetes does."""

    folder: Path
    zone_file: Path
    port: int
    metrics_port: int
    engine_options: Mapping[str, str] = field(default_factory=dict)  # flags of `voxfleet-gateway dns`, without dashes
    engine_command: tuple[str, ...] = (sys.executable, "-m", "voxfleet_gateway", "dns")
    address: str = LOOPBACK
    engine: RunningProcess | None = None
    powerdns: RunningProcess | None = None

    @property
    def socket(self) -> Path:
        """The unix socket between both."""
        return self.folder / "backend.sock"

    def start_engine(self) -> None:
        """Start the engine and wait until its socket accepts. Raises UnavailableError with its log."""
        options = {
            "zone-file": str(self.zone_file),
            "backend-socket": str(self.socket),
            "host": LOOPBACK,
            "metrics-port": str(self.metrics_port),
            **self.engine_options,
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        self.engine = _start([*self.engine_command, *flags], self.folder / "engine.log")
        _wait(self.engine, lambda: _accepts(str(self.socket)))

    def start_powerdns(self, *, wait: bool = True) -> None:
        """Start PowerDNS and wait until it has its port. Raises UnavailableError with its log."""
        folder = self.folder / "powerdns"
        folder.mkdir(exist_ok=True)
        own = {
            "remote-connection-string": f"unix:path={self.socket},timeout=2000",
            "local-address": self.address,
            "local-port": str(self.port),
            "socket-dir": str(folder),
        }
        (folder / "pdns.conf").write_text(CONFIGURATION.read_text() + _lines(own))
        self.powerdns = start_powerdns(folder, self.folder / "powerdns.log")
        if wait:
            _wait(self.powerdns, lambda: _accepts((self.address, self.port)))

    def stop(self) -> None:
        """Stop both."""
        for running in (self.powerdns, self.engine):
            if running is not None:
                running.stop()


def start_powerdns(folder: Path, log: Path) -> RunningProcess:
    """Start PowerDNS with the pdns.conf of a folder."""
    return _start(["pdns_server", f"--config-dir={folder}"], log)


def start_recursor(folder: Path, port: int, forward: Mapping[str, str]) -> RunningProcess:
    """Start PowerDNS Recursor, which forwards zones to `address:port` and sends ECS there, and wait for its port."""
    folder.mkdir(exist_ok=True)
    own = {
        "local-address": LOOPBACK,
        "local-port": str(port),
        "socket-dir": str(folder),
        "forward-zones": ",".join(f"{zone}={target}" for zone, target in forward.items()),
        "dont-query": "",
        "dnssec": "off",
        "use-incoming-edns-subnet": "yes",
        "edns-subnet-allow-list": ",".join(forward),
        "ecs-add-for": "0.0.0.0/0,::/0",  # by default not for clients on loopback
        "ecs-ipv4-bits": "24",
        "ecs-ipv6-bits": "56",
        "ecs-ipv4-never-cache": "no",
        "security-poll-suffix": "",
        "disable-syslog": "yes",
        "daemon": "no",
        "write-pid": "no",
        "threads": "1",
        "allow-from": "127.0.0.0/8",
        "hint-file": "no",
    }
    (folder / "recursor.conf").write_text(_lines(own))
    running = _start(["pdns_recursor", f"--config-dir={folder}"], folder / "recursor.log")
    _wait(running, lambda: _accepts((LOOPBACK, port)))
    return running


@contextlib.contextmanager
def running(servers: DnsServers) -> Iterator[DnsServers]:
    """Start engine and PowerDNS, and stop them in the end."""
    try:
        servers.start_engine()
        servers.start_powerdns()
        yield servers
    finally:
        servers.stop()


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _start(command: list[str], log: Path) -> RunningProcess:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin"}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    return RunningProcess(process, log)


def _wait(running: RunningProcess, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise UnavailableError(f"{running.process.args!r} ended: {running.output()[-2000:]}")
        if is_ready():
            return
        time.sleep(CHECK_SECONDS)
    running.stop(kill=True)
    raise UnavailableError(f"{running.process.args!r} is not ready after {READY_SECONDS} s: {running.output()[-2000:]}")


def _accepts(address: str | tuple[str, int]) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
        return True
