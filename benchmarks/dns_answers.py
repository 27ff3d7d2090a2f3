"""Answers per second of VoxFleet's DNS behind PowerDNS, beside PowerDNS with a static zone, in the same run.

Sides take turns, so that other load on the machine affects all alike; `us per answer` is the processor time of each
server, comparable on a busy machine too. dnsperf sends the queries. `static, cached` is PowerDNS as most run it, with
its packet cache, which tailored answers cannot use; `static` is without. `prefixes` are different client networks, each
asked for once: what the engine must work out first.

    python benchmarks/dns_answers.py --rounds 3 --seconds 5
"""

from __future__ import annotations

import argparse
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import dns.edns
import dns.message
from rich.console import Console
from rich.table import Table
from voxfleet_testbed.dns.location_example import write_location_database
from voxfleet_testbed.dns.processes import (
    CONFIGURATION,
    LOOPBACK,
    DnsServers,
    RunningProcess,
    running,
    start_powerdns,
)
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.programs.packages import DNS_PACKAGE_OF, install_packages

CHECKOUT = Path(__file__).resolve().parent.parent
ZONE_FILE = CHECKOUT / "examples/dns-zone.yaml"
NAME = "voxcpm-1-5.tts.example.com"
ECS = "8:00011800140102"  # option 8: IPv4, source /24, scope 0, 20.1.2
GOAL = 8000
WINDOW = 64
TICKS_PER_SECOND = 100
STATIC_ZONE = """$TTL 30
@ SOA ns1 hostmaster.example.com. 1 3600 600 604800 30
@ NS ns1
ns1 A 192.0.2.53
voxcpm-1-5 A 192.0.2.40
voxcpm-1-5 AAAA 2001:db8:c::10
voxcpm-1-5 HTTPS 1 . ipv4hint=192.0.2.40 ipv6hint=2001:db8:c::10
"""


@dataclass(slots=True)
class Side:
    """One of the measured servers."""

    name: str
    port: int
    processes: dict[str, RunningProcess]
    options: tuple[str, ...] = ()
    rates: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    lost: int = 0
    busy_us: dict[str, list[float]] = field(default_factory=dict)  # per answer, by process

    def busy_seconds(self) -> dict[str, float]:
        """Return the processor seconds that each process has used."""
        return {name: _busy_seconds(each.process.pid) for name, each in self.processes.items()}

    def measure(self, queries: Path, seconds: float) -> None:
        """Ask for a while with dnsperf."""
        before = self.busy_seconds()
        command = ["dnsperf", "-s", LOOPBACK, "-p", str(self.port), "-d", str(queries), "-l", str(seconds)]
        ran = subprocess.run(
            [*command, "-c", "8", "-q", "100", *self.options], capture_output=True, text=True, check=True, timeout=600
        )
        count = int(_figure(r"Queries completed:\s+(\d+)", ran.stdout))
        if "NOERROR" not in ran.stdout or not count:
            raise SystemExit(f"{self.name}: no answers: {ran.stdout}")
        self.rates.append(_figure(r"Queries per second:\s+([\d.]+)", ran.stdout))
        self.latencies_ms.append(1000 * _figure(r"Average Latency \(s\):\s+([\d.]+)", ran.stdout))
        self.lost += int(_figure(r"Queries lost:\s+(\d+)", ran.stdout))
        for name, busy in self.busy_seconds().items():
            self.busy_us.setdefault(name, []).append(1e6 * (busy - before[name]) / count)


def main() -> int:
    """Measure and print; the exit status is 1 when answers were wrong, not when a goal was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each side takes its turn; default 3")
    parser.add_argument("--seconds", type=float, default=5, help="of one turn; default 5")
    parser.add_argument("--prefixes", type=int, default=5000, help="client networks asked for once; default 5,000")
    options = parser.parse_args()
    install_packages(table={**DNS_PACKAGE_OF, "/usr/lib/x86_64-linux-gnu/pdns/libbindbackend.so": "pdns-backend-bind"})
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        queries = folder / "queries.txt"
        queries.write_text(f"{NAME} A\n{NAME} AAAA\n" * 500)
        servers = stack.enter_context(_engine(folder))
        if servers.engine is None or servers.powerdns is None:
            raise SystemExit("not started")
        both = {"engine": servers.engine, "PowerDNS": servers.powerdns}
        sides = [
            Side("VoxFleet, ECS", servers.port, both, ("-E", ECS)),
            Side("VoxFleet", servers.port, both),
            stack.enter_context(_static(folder, "static", {})),
            stack.enter_context(_static(folder, "static, cached", {"cache-ttl": "20", "query-cache-ttl": "20"})),
        ]
        for _ in range(options.rounds):
            for side in sides:
                side.measure(queries, options.seconds)
        first_rate = once_each(servers.port, options.prefixes)
        again_rate = once_each(servers.port, options.prefixes)
    _report(sides, options.prefixes, first_rate, again_rate)
    return 1 if any(side.lost for side in sides) else 0


def once_each(port: int, count: int) -> float:
    """Ask once for each of `count` client networks, WINDOW at a time; return answers per second."""
    wires = [_query(IPv4Address((20 << 24) + (number << 8) * 211 % (1 << 29)), number) for number in range(count)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((LOOPBACK, port))
        client.settimeout(30)
        started = time.perf_counter()
        for begin in range(0, count, WINDOW):
            chunk = wires[begin : begin + WINDOW]
            for wire in chunk:
                client.send(wire)
            for _ in chunk:
                client.recv(4096)
        return count / (time.perf_counter() - started)


def _query(network: IPv4Address, number: int) -> bytes:
    prefix = IPv4Address(int(network) & ~0xFF)
    message = dns.message.make_query(NAME, "A", use_edns=True, options=[dns.edns.ECSOption(str(prefix), 24)])
    message.id = number % 65536
    return message.to_wire()


@contextmanager
def _engine(folder: Path) -> Iterator[DnsServers]:
    port, metrics_port = ports_for_later(2)
    database = write_location_database(folder / "places.mmdb")
    options = {"location-database": str(database)}
    with running(DnsServers(folder, ZONE_FILE, port, metrics_port, options)) as servers:
        yield servers


@contextmanager
def _static(folder: Path, name: str, caches: dict[str, str]) -> Iterator[Side]:
    """Run PowerDNS with its bind backend and the same settings."""
    own = folder / name.replace(", ", "-")
    own.mkdir()
    (own / "tts.example.com.zone").write_text(STATIC_ZONE)
    (own / "named.conf").write_text(f'zone "tts.example.com" {{ type native; file "{own}/tts.example.com.zone"; }};\n')
    (port,) = ports_for_later(1)
    settings = {
        "launch": "bind",
        "bind-config": str(own / "named.conf"),
        "local-address": LOOPBACK,
        "local-port": str(port),
        "socket-dir": str(own),
        **caches,
    }
    lines = "".join(f"{key}={value}\n" for key, value in settings.items())
    (own / "pdns.conf").write_text(CONFIGURATION.read_text() + lines)
    server = start_powerdns(own, own / "log")
    try:
        _wait_for_answer(port)
        yield Side(name, port, {"PowerDNS": server})
    finally:
        server.stop()


def _wait_for_answer(port: int) -> None:
    deadline = time.monotonic() + 60
    wire = dns.message.make_query(NAME, "A").to_wire()
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            try:
                client.connect((LOOPBACK, port))
                client.send(wire)
                client.recv(4096)
            except OSError:
                time.sleep(0.1)
                continue
            return
    raise SystemExit("PowerDNS with a static zone does not answer")


def _busy_seconds(pid: int) -> float:
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / TICKS_PER_SECOND


def _figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def _report(sides: list[Side], prefixes: int, first_rate: float, again_rate: float) -> None:
    table = Table("side", "answers/s", "best", "mean ms", "lost", "engine us per answer", "PowerDNS us per answer")
    for side in sides:
        busy = {name: f"{statistics.median(values):.0f}" for name, values in side.busy_us.items()}
        table.add_row(
            side.name,
            f"{statistics.median(side.rates):,.0f}",
            f"{max(side.rates):,.0f}",
            f"{statistics.median(side.latencies_ms):.1f}",
            str(side.lost),
            busy.get("engine", ""),
            busy.get("PowerDNS", ""),
        )
    console = Console(width=120)
    console.print(table)
    console.print(f"{prefixes:,} prefixes, each once: {first_rate:,.0f} answers/s; again: {again_rate:,.0f}")
    console.print(
        f"goal: {GOAL:,} answers/s with ECS on two cores; load average now: {Path('/proc/loadavg').read_text()}"
    )


if __name__ == "__main__":
    sys.exit(main())
