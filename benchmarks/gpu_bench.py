"""Everything about a GPU in one command, under nine minutes, with nothing but PyTorch, Triton and numpy installed.

    python benchmarks/gpu_bench.py [--device cuda|cpu] [--size full|tiny] [--batches 1,2,4,...] [--streams 1,8,32,64]

Weights are random, made on the device in VoxCPM 1.5's shapes; the model never stops by itself. Each part has a time
budget, says what it found, and saves it at once in `benchmarks/results/<device>.json`: a run that is killed loses
nothing. A part that fails is told with its error, and the next one goes on. `make gpu-bench` runs it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "inference"), str(Path(__file__).resolve().parent)]

import torch  # noqa: E402 - the path first: nothing of ours is installed on a GPU machine
from gpu_bench_model import Bench, machine, measure_steps  # noqa: E402
from gpu_bench_parity import measure_parity  # noqa: E402
from gpu_bench_peers import measure_kernels, measure_peers  # noqa: E402
from gpu_bench_streams import measure_streams, measure_text  # noqa: E402

BATCHES = {"full": (1, 2, 4, 8, 16, 32, 64), "tiny": (1, 2, 4)}
STREAMS = {"full": (1, 8, 32, 64), "tiny": (1, 4)}
TOTAL_SECONDS = 510.0
# What each part may take before it stops by itself with what it has; together less than the whole.
BUDGETS = {"start": 90, "parity": 60, "kernels": 60, "steps": 120, "streams": 90, "text": 40, "peers": 60}


@dataclass
class Record:
    """What was found so far, on disk."""

    path: Path
    values: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def save(self, name: str, value: object) -> None:
        """Keep one more thing."""
        self.values[name] = value
        self.values["seconds"] = round(time.monotonic() - self.started, 1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)

    def part(self, name: str, measure: Callable[[float], object]) -> None:
        """Measure one part until its deadline; whatever goes wrong is a result too."""
        began = time.monotonic()
        deadline = min(began + BUDGETS[name], self.started + TOTAL_SECONDS)
        say(f"\n== {name} (at {began - self.started:.0f} s, {max(0.0, deadline - began):.0f} s)")
        try:
            self.save(name, measure(deadline))
        except Exception as error:  # noqa: BLE001 - one part's fault must not cost the others
            say(traceback.format_exc())
            self.save(name, {"error": f"{type(error).__name__}: {error}"})


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def numbers(text: str) -> tuple[int, ...]:
    """`1,2,4`."""
    return tuple(int(each) for each in text.split(","))


def results_path(folder: Path, device: torch.device, size: str) -> Path:
    """A file of the device's own."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    words = "-".join(name.lower().replace("/", " ").split())
    return folder / (f"{words}.json" if size == "full" else f"{words}-{size}.json")


def tables(values: dict[str, Any]) -> Sequence[str]:
    """What was found, for people."""
    lines = ["", "rows  step ms  audio x  plain ms  kernels  solver  codec  LocEnc  LMs"]
    plain_ms = {row["rows"]: row["step_ms"] for row in values.get("peers", {}).get("plain_eager", [])}
    for row in values.get("steps", {}).get("rows", []):
        parts = "  ".join(f"{row['part_ms'].get(part, 0):6.2f}" for part in ("solver", "codec", "encoder", "lms"))
        plain = f"{plain_ms.get(row['rows'], math.nan):8.2f}"
        step = f"{row['rows']:4d}  {row['step_ms']:7.2f}  {row['times_real_time']:7.0f}"
        lines.append(f"{step}  {plain}  {row['kernels'] or 0:7d}  {parts}")
    lines += ["", "streams  first audio ms p50 / p95  RTF    underruns"]
    lines += [
        f"{row['streams']:7d}  {row['first_audio_ms_p50']:12.1f} / {row['first_audio_ms_p95']:6.1f}"
        f"  {row['rtf_worst']:10.4f}  {row['underruns']:5d}"
        for row in values.get("streams", {}).get("rows", [])
    ]
    text, parity = values.get("text", {}), values.get("parity", {})
    if "seconds" in text:
        lines.append(f"\n{text['characters']} characters, {text['patches']} patches: whole in {text['seconds']:.2f} s")
    lines += [f"parity {name}: {value}" for name, value in parity.items()]
    return lines


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
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    asked = parser.parse_args(given)
    asked.batches, asked.streams = asked.batches or BATCHES[asked.size], asked.streams or STREAMS[asked.size]
    return asked


def main(given: Sequence[str] | None = None) -> int:
    """All parts, one after the other."""
    asked = arguments(given)
    if asked.device == "cuda" and not torch.cuda.is_available():
        say("no usable CUDA device: `--device cpu --size tiny` proves every line of this command without one")
        return 1
    device = torch.device(asked.device)
    record = Record(results_path(asked.results, device, asked.size))
    record.save("machine", machine(device, asked.size))
    bench = Bench(device, asked.size, max(*asked.batches, *asked.streams), asked.codec, say)
    record.part("start", bench.start)
    record.part("parity", lambda deadline: measure_parity(bench, deadline))
    record.part("steps", lambda deadline: measure_steps(bench, asked.batches, deadline))
    record.part("streams", lambda deadline: measure_streams(bench, asked.streams, asked.patches, deadline))
    record.part("text", lambda deadline: measure_text(bench, asked.text_patches, deadline))
    record.part("kernels", lambda deadline: measure_kernels(bench, deadline))
    record.part("peers", lambda deadline: measure_peers(bench, asked.batches, deadline))
    record.save("memory", bench.memory())
    for line in tables(record.values):
        say(line)
    say(f"\n{record.values['seconds']:.0f} s; results in {record.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
