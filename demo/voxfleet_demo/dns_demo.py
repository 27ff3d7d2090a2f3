"""`make dns-demo`: serves examples/dns-zone.yaml on an unprivileged port and prints what to ask.

Knows: which clients are worth asking for. Does not know: how answers are made; it asks like any resolver.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from voxfleet_testbed.dns.location_example import write_location_database
from voxfleet_testbed.dns.processes import LOOPBACK, DnsServers, running
from voxfleet_testbed.dns.queries import addresses, ecs_of, query, subnet
from voxfleet_testbed.errors import TestbedError
from voxfleet_testbed.events import Report, ignore
from voxfleet_testbed.network.addresses import ports_for_later
from voxfleet_testbed.programs.packages import DNS_PACKAGE_OF, install_packages

ZONE_FILE = Path(__file__).parents[2] / "examples/dns-zone.yaml"
NAME = "voxcpm-1-5.tts.example.com"
DEFAULT_PORT = 5300
CLIENTS = {
    "20.1.2.0/24": "Shanghai",
    "20.17.2.0/24": "Tokyo",
    "30.1.2.0/24": "Berlin",
    "40.1.2.0/24": "New York",
    "40.33.2.0/24": "Seattle",
    "50.0.0.0/24": "Sao Paulo",
    "2400:1000::/48": "Shanghai, IPv6",
    "198.51.100.0/24": "unknown: the default region",
    "0.0.0.0/0": "opted out (RFC 7871, 7.1.2)",
}
REGION_OF = {
    "192.0.2.10": "eu-central",
    "192.0.2.20": "us-east",
    "192.0.2.30": "us-west",
    "192.0.2.40": "asia-east",
    "192.0.2.50": "sa-east",
}


def main(
    port: Annotated[int, typer.Option(help="Port of PowerDNS on loopback, UDP and TCP.")] = DEFAULT_PORT,
    *,
    once: Annotated[bool, typer.Option(help="End after printing instead of serving until Ctrl-C.")] = False,
) -> None:
    """Serve five regions by DNS and print the dig lines with what they answer."""
    console = Console(width=110)
    try:
        run(console, port, once=once)
    except TestbedError as error:
        sys.stderr.write(f"dns-demo: {error}\n")
        raise typer.Exit(1) from None


def run(console: Console, port: int, *, once: bool, report: Report = ignore) -> None:
    """Start, ask, print; serve until interrupted unless `once`. Raises TestbedError."""
    if installed := install_packages(report, DNS_PACKAGE_OF):
        console.print(f"installed {' '.join(installed)}")
    with tempfile.TemporaryDirectory(prefix="voxfleet-dns-") as folder:
        database = write_location_database(Path(folder) / "places.mmdb")
        (metrics_port,) = ports_for_later(1)
        options = {"location-database": str(database)}
        with running(DnsServers(Path(folder), ZONE_FILE, port, metrics_port, options)) as servers:
            text = "\n".join(["Clients, and what they are answered:", *answer_lines(servers.port)])
            console.print(text + _hints(servers.port, metrics_port), soft_wrap=True, highlight=False)
            if not once:
                console.print("\nServing; Ctrl-C ends it.")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()


def answer_lines(port: int) -> list[str]:
    """Ask for every client and return the commands with their answers behind them."""
    lines = []
    for network, place in CLIENTS.items():
        response = query(port, f"{NAME}.", "A", subnet(network))
        address = ", ".join(sorted(addresses(response)))
        ecs = ecs_of(response)
        scope = "" if ecs is None else f", scope /{ecs.scopelen}"
        command = f"dig @{LOOPBACK} -p {port} {NAME} +subnet={network}"
        lines.append(f"  {command:86} # {place}: {address}, {REGION_OF.get(address, '?')}{scope}")
    return lines


def _hints(port: int, metrics_port: int) -> str:
    dig = f"dig @{LOOPBACK} -p {port}"
    missing = "" if shutil.which("dig") else "\n(dig is in Debian's bind9-dnsutils.)"
    return (
        f"\n\nMore to try:\n"
        f"  {dig} {NAME} HTTPS +subnet=2400:1000::/48   # addresses and hints of one region\n"
        f"  {dig} asia-east.regions.tts.example.com     # a region itself\n"
        f"  {dig} unknown.tts.example.com               # NXDOMAIN\n"
        f"  {dig} voices.tts.example.com                # NODATA: narrator.voices... lies below\n"
        f"  {dig} {NAME} ANY +notcp +ignore             # truncated: no amplification\n"
        f"  {dig} example.org                           # REFUSED\n"
        f"  curl {LOOPBACK}:{metrics_port}/metrics{missing}"
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the processes beside it too
    typer.run(main)
