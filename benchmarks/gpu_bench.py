"""Measure a GPU in one command, in under nine minutes, with nothing but PyTorch, Triton and numpy installed.

    python benchmarks/gpu_bench.py [--device cuda|cpu] [--size full|tiny] [--batches 1,2,4,...] [--streams 1,8,32,64]

Weights are random, created on the device in VoxCPM 1.5's shapes; the model never predicts a stop. A child process
measures the parts, each within its time limit, and saves every result at once. A failed part leaves the others: after
a device error, a crash or a hang a new process continues with the next part; without CUDA graphs if they cannot be
captured, without Triton's kernels if those fail too, with fewer rows if memory is short. Results are in
`benchmarks/results/<device>.json`; goals are printed next to them. `make gpu-bench` runs it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "inference"), str(ROOT / "benchmarks" / "gpu"), str(ROOT / "benchmarks")]

from part_supervisor import MODES, PARTS, supervise  # noqa: E402
from result_file import print_line, read  # noqa: E402 - the path first: nothing of ours is installed on a GPU machine
from result_tables import tables  # noqa: E402

BATCHES = {"full": (1, 2, 4, 8, 16, 32, 64), "tiny": (1, 2, 4)}
STREAMS = {"full": (1, 8, 32, 64), "tiny": (1, 4)}
TOTAL_SECONDS = 510.0


def numbers(text: str) -> tuple[int, ...]:
    """Parse a list such as `1,2,4`."""
    return tuple(int(each) for each in text.split(","))


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", default="full", choices=("full", "tiny"))
    parser.add_argument("--batches", type=numbers)
    parser.add_argument("--streams", type=numbers)
    parser.add_argument("--patches", type=int, default=50, help="patches per stream")
    parser.add_argument(
        "--text-patches", type=int, default=400, help="patches of the long text's 12 sentences together"
    )
    parser.add_argument(
        "--codec", default=None, choices=("fp32", "tf32", "bf16"), help="default: tf32 on a GPU, fp32 on a CPU"
    )
    parser.add_argument(
        "--parts",
        type=lambda text: tuple(text.split(",")),
        default=tuple(PARTS),
        help="comma-separated parts (default: all)",
    )
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="time limit of the whole run")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    within = parser.add_argument_group("arguments from the supervisor to its child process")
    within.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    within.add_argument("--mode", default=MODES[0], choices=MODES, help=argparse.SUPPRESS)
    within.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    asked.batches, asked.streams = asked.batches or BATCHES[asked.size], asked.streams or STREAMS[asked.size]
    asked.rows = asked.rows or max(*asked.batches, *asked.streams)
    return asked


def command(asked: argparse.Namespace, into: Path) -> list[str]:
    """Return the command of a child process; the supervisor adds parts, mode, rows and time limit."""
    lists = {"--batches": asked.batches, "--streams": asked.streams}
    words = [f"{name}={','.join(map(str, sizes))}" for name, sizes in lists.items()]
    words += [f"--device={asked.device}", f"--size={asked.size}", f"--patches={asked.patches}", f"--into={into}"]
    words += [f"--text-patches={asked.text_patches}", *([f"--codec={asked.codec}"] if asked.codec else [])]
    return [sys.executable, str(Path(__file__).resolve()), *words]


def named(path: Path, size: str) -> Path:
    """Rename the result file to its device's name."""
    words = "-".join(str(read(path).get("machine", {}).get("device", "unknown")).lower().replace("/", " ").split())
    return path.replace(path.with_name(f"{words}.json" if size == "full" else f"{words}-{size}.json"))


def main(given: Sequence[str] | None = None) -> int:
    """Supervise the measurement and print its tables, or measure parts as a child process (`--into`)."""
    asked = arguments(given)
    if asked.into:
        began = time.monotonic()
        from measured_parts import measure  # noqa: PLC0415 - the supervisor needs no PyTorch

        asked.imports_seconds = round(time.monotonic() - began, 3)
        return measure(asked)
    into = asked.results / "unfinished.json"
    into.unlink(missing_ok=True)
    seconds = supervise(command(asked, into), into, asked.parts, asked.rows, asked.seconds)
    if not into.exists():
        return 1
    path = named(into, asked.size)
    for line in tables(read(path)):
        print_line(line)
    print_line(f"\n{seconds:.0f} s; results in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
