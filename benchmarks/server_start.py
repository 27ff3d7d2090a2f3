"""How long a server takes from its start to ready, by part, and the processor time that it uses.

`--beside FOLDER` measures another checkout too, in turn with this one, so that both meet the same load of the machine.
A machine that is busy with other work makes every second longer, also one of processor time (two threads share a core):
compare the columns of one run, not runs. In the same run a Python that only imports torch is timed: no server that
decodes with it is ready sooner.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PARTS = ("process_seconds", "loaded_seconds", "warm_seconds")
TIMEOUT_SECONDS = 300.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Figures:
    """The starts of one checkout: seconds of each part, from start to ready, and of processor time."""

    folder: Path
    starts: list[dict[str, float]] = field(default_factory=list)

    def median(self, name: str) -> float | None:
        """Return the median of one figure; None where no start has it."""
        values = [start[name] for start in self.starts if name in start]
        return statistics.median(values) if values else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="default: a tiny one, random weights")
    parser.add_argument("--beside", type=Path, action="append", default=[], help="another checkout to measure in turn")
    parser.add_argument("--starts", type=int, default=5, help="of each checkout")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = options.checkpoint or tiny_checkpoint(Path(folder))
        measured = [Figures(each) for each in (*options.beside, CHECKOUT)]
        imports: list[float] = []
        for number in range(options.starts + 1):
            imported = import_seconds()
            if number:
                imports.append(imported)
            for figures in measured:
                start = measure(figures.folder, checkpoint)
                if number:  # the first one of each fills the page cache
                    figures.starts.append(start)
    show(measured, options.starts)
    alone = statistics.median(imports)
    total = measured[-1].median("total_seconds") or 0.0
    print(f"import torch alone: {alone:.2f} s; this checkout is ready after {total / alone:.2f} times that")


def import_seconds() -> float:
    """Return how long a Python that imports torch, and nothing else, takes from its start to its end."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True, start_new_session=True)  # as a server's is
    return time.monotonic() - began


def tiny_checkpoint(folder: Path) -> Path:
    """Return a new tiny checkpoint."""
    command = [sys.executable, "-m", "voxfleet_inference", "tiny-checkpoint", str(folder / "tiny")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "tiny"


def measure(folder: Path, checkpoint: Path) -> dict[str, float]:
    """Start a checkout's server, and end it when it is ready."""
    ports = free_ports(3)
    command = [sys.executable, "-m", "voxfleet_inference", "serve", "--model-path", str(checkpoint), "--device", "cpu"]
    command += ["--dtype", "float32", "--host", "127.0.0.1", "--port", str(ports[0])]
    command += ["--metrics-port", str(ports[1]), "--internal-port", str(ports[2])]
    environment = os.environ | {"PYTHONPATH": str(folder / "inference")}
    began = time.monotonic()
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True) as server:
        try:
            row = wait_until_ready(server, ports[2])
            total_seconds = time.monotonic() - began - row.get("ready_age_seconds", 0.0)
            cpu_seconds = processor_seconds(server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
    parts = {part: row[part] for part in PARTS if row.get(part) is not None}
    return {**parts, "total_seconds": total_seconds, "cpu_seconds": cpu_seconds}


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> dict[str, float]:
    """Return the server's load once it is ready."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with exit code {server.returncode} before it was ready")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/internal/load", timeout=5) as answer:
                row: dict[str, float] = json.load(answer)
        except OSError:
            row = {}
        if row.get("state") == "ready":  # type: ignore[comparison-overlap]
            return row
        time.sleep(0.02)
    raise SystemExit(f"the server was not ready within {TIMEOUT_SECONDS:.0f} s")


def processor_seconds(session: int) -> float:
    """Return user and system time of every process of a session."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_SECOND


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    bound = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in bound]
    for each in bound:
        each.close()
    return ports


def show(measured: list[Figures], starts: int) -> None:
    """Print a table: a row for each figure, a column for each checkout."""
    columns = [each.folder.name if each.folder != CHECKOUT else "this checkout" for each in measured]
    print(f"medians of {starts} starts, in seconds")
    print("".join([f"{'':18}", *(f"{column:>16}" for column in columns)]))
    for name in (*PARTS, "total_seconds", "cpu_seconds"):
        values = [each.median(name) for each in measured]
        print("".join([f"{name:18}", *(f"{'-' if value is None else f'{value:.2f}':>16}" for value in values)]))


if __name__ == "__main__":
    main()
