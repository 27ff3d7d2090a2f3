"""`make dns-demo` serves the example and prints commands with the answers that they get."""

import io

import pytest
from rich.console import Console
from voxfleet_demo.dns_demo import CLIENTS, run
from voxfleet_testbed.network.addresses import ports_for_later


@pytest.mark.usefixtures("_dns_packages")
def test_the_demo_prints_what_dig_would_answer() -> None:
    (port,) = ports_for_later(1)
    output = io.StringIO()
    run(Console(file=output, width=200), port, once=True)
    lines = [line for line in output.getvalue().splitlines() if "+subnet=" in line and "HTTPS" not in line]
    assert len(lines) == len(CLIENTS)
    assert f"dig @127.0.0.1 -p {port} voxcpm-1-5.tts.example.com +subnet=20.1.2.0/24" in lines[0]
    assert lines[0].endswith("# Shanghai: 192.0.2.40, asia-east, scope /11")
    assert lines[-1].endswith("192.0.2.10, eu-central, scope /0")
