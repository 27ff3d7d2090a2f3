"""Everything about a GPU in one command, under nine minutes, with nothing but PyTorch, Triton and numpy installed.

    python benchmarks/gpu_bench.py [--device cuda|cpu] [--size full|tiny] [--batches 1,2,4,...] [--streams 1,8,32,64]

Weights are random, made on the device in VoxCPM 1.5's shapes; the model never stops by itself. A process of its own
measures the parts, each within its time; what it finds is saved as it is found. A part that fails costs itself alone:
after an error of the device, a crash or a hang the next parts go on in a new process, without recorded steps if those
do not start, without Triton's kernels if not even those do, with fewer rows where memory is short. Results lie in
`benchmarks/results/<device>.json`, goals are printed beside them. `make gpu-bench` runs it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "inference"), str(ROOT / "benchmarks" / "gpu"), str(ROOT / "benchmarks")]

from gpu_bench_record import read, say  # noqa: E402 - the path first: nothing of ours is installed on a GPU machine
from gpu_bench_report import tables  # noqa: E402
from gpu_bench_supervisor import MODES, PARTS, supervise  # noqa: E402

BATCHES = {"full": (1, 2, 4, 8, 16, 32, 64), "tiny": (1, 2, 4)}
STREAMS = {"full": (1, 8, 32, 64), "tiny": (1, 4)}
TOTAL_SECONDS = 510.0


def numbers(text: str) -> tuple[int, ...]:
    """`1,2,4`."""
    return tuple(int(each) for each in text.split(","))


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Parse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", default="full", choices=("full", "tiny"))
    parser.add_argument("--batches", type=numbers)
    parser.add_argument("--streams", type=numbers)
    parser.add_argument("--patches", type=int, default=50, help="of each stream")
    parser.add_argument("--text-patches", type=int, default=400, help="of the long text's 12 sentences together")
    parser.add_argument("--codec", default=None, choices=("fp32", "tf32", "bf16"), help="tf32 on a GPU by default")
    parser.add_argument("--parts", type=lambda text: tuple(text.split(",")), default=tuple(PARTS), help="of all parts")
    parser.add_argument("--seconds", type=float, default=TOTAL_SECONDS, help="for everything together")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    within = parser.add_argument_group("what one process is told by the one that watches it")
    within.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    within.add_argument("--mode", default=MODES[0], choices=MODES, help=argparse.SUPPRESS)
    within.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(given)
    asked.batches, asked.streams = asked.batches or BATCHES[asked.size], asked.streams or STREAMS[asked.size]
    asked.rows = asked.rows or max(*asked.batches, *asked.streams)
    return asked


def command(asked: argparse.Namespace, into: Path) -> list[str]:
    """What starts a process for some parts; which, how and for how long is added to it."""
    lists = {"--batches": asked.batches, "--streams": asked.streams}
    words = [f"{name}={','.join(map(str, sizes))}" for name, sizes in lists.items()]
    words += [f"--device={asked.device}", f"--size={asked.size}", f"--patches={asked.patches}", f"--into={into}"]
    words += [f"--text-patches={asked.text_patches}", *([f"--codec={asked.codec}"] if asked.codec else [])]
    return [sys.executable, str(Path(__file__).resolve()), *words]


def named(path: Path, size: str) -> Path:
    """The results under their device's own name."""
    words = "-".join(str(read(path).get("machine", {}).get("device", "unknown")).lower().replace("/", " ").split())
    return path.replace(path.with_name(f"{words}.json" if size == "full" else f"{words}-{size}.json"))


def main(given: Sequence[str] | None = None) -> int:
    """All parts, one after the other."""
    asked = arguments(given)
    if asked.into:
        began = time.monotonic()
        from gpu_bench_parts import measure  # noqa: PLC0415 - who only watches needs no PyTorch

        asked.imports_seconds = round(time.monotonic() - began, 3)
        return measure(asked)
    into = asked.results / "unfinished.json"
    into.unlink(missing_ok=True)
    seconds = supervise(command(asked, into), into, asked.parts, asked.rows, asked.seconds)
    if not into.exists():
        return 1
    path = named(into, asked.size)
    for line in tables(read(path)):
        say(line)
    say(f"\n{seconds:.0f} s; results in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
