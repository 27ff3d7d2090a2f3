"""One process's share: the parts it was told to measure, over one model.

Knows which function measures which part. Does not know what other processes do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import torch
from gpu_bench_model import Bench, Found, machine, measure_steps
from gpu_bench_parity import measure_parity
from gpu_bench_peers import measure_contexts, measure_kernels, measure_plain
from gpu_bench_profile import measure_profile
from gpu_bench_record import DeadDeviceError, Measure, Record, say
from gpu_bench_reference import measure_reference
from gpu_bench_streams import measure_streams, measure_text
from gpu_bench_supervisor import NO_DEVICE, PARTS, WITHOUT_MODEL

DEAD = 3  # exit status


def measure(asked: argparse.Namespace) -> int:
    """All parts asked for, in their order."""
    if asked.device == "cuda" and not torch.cuda.is_available():
        say("no usable CUDA device: `--device cpu --size tiny` proves every line of this command without one")
        return NO_DEVICE
    began = time.monotonic()
    torch.zeros(1, device=asked.device)  # the driver's own start
    before = {"imports_seconds": asked.imports_seconds, "device_seconds": round(time.monotonic() - began, 3)}
    ends = began + asked.seconds
    bench = Bench(torch.device(asked.device), asked.size, asked.rows, asked.codec, say, asked.mode, before)
    record, measures = Record(asked.into), table_of(bench, asked)
    record.save("machine", machine(bench.device, asked.size) | {"mode": asked.mode, "most_rows": asked.rows})
    try:
        _prepare(record, bench, asked.parts, ends)
        for part in asked.parts:
            if part != "start" and (bench.is_started or part in WITHOUT_MODEL):
                record.part(part, measures[part], min(time.monotonic() + PARTS[part], ends))
    except DeadDeviceError as error:
        say(f"{error}: the device is of no use to this process any more")
        return DEAD
    if bench.is_started:
        record.save("memory", bench.memory())
    return 0


def table_of(bench: Bench, asked: argparse.Namespace) -> dict[str, Measure]:
    """What measures which part."""
    return {
        "parity": lambda deadline: measure_parity(bench, deadline),
        "steps": lambda deadline: measure_steps(bench, asked.batches, deadline),
        "streams": lambda deadline: measure_streams(bench, asked.streams, asked.patches, deadline),
        "text": lambda deadline: measure_text(bench, asked.text_patches, deadline),
        "kernels": lambda deadline: measure_kernels(bench, deadline),
        "contexts": lambda deadline: measure_contexts(bench, deadline),
        "profile": lambda deadline: measure_profile(bench, asked.batches, deadline),
        "plain": lambda deadline: measure_plain(bench, asked.batches, deadline),
        "reference": lambda deadline: measure_reference(bench, deadline),
    }


def _prepare(record: Record, bench: Bench, parts: tuple[str, ...], ends: float) -> None:
    """Every process that measures the model has to make it; the first one's phases are kept."""
    if set(parts) <= set(WITHOUT_MODEL):
        return
    name = "start" if "start" in parts else "start_again"

    def phases(deadline: float) -> Iterator[Found]:
        yield from bench.start(deadline)

    record.part(name, phases, min(time.monotonic() + PARTS["start"], ends))
