"""The kernels of a step and their times, by part, from PyTorch's profiler.

Knows: the profiler. On a CPU it counts operations instead of kernels. On a machine that forbids profiling the counts
are missing and the result is the profiler's error; the times come from the other parts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from model_under_test import ModelUnderTest
from result_file import Results, for_each
from step_times import step_and_parts
from torch.autograd.profiler import profile  # that of torch.profiler imports the whole compiler first

MAX_NAMES = 8  # of kernels in the result
COPIES = ("memcpy", "memset")


def measure_profile(target: ModelUnderTest, batches: Sequence[int], deadline: float) -> Iterator[Results]:
    """Profile a step and its parts by batch size; the smallest and largest first, in case time runs out."""
    order = sorted(batches, key=lambda rows: (rows not in {min(batches), max(batches)}, rows))
    yield from for_each("rows", order, deadline, partial(_by_part, target), target.free)


@torch.inference_mode()
def _by_part(target: ModelUnderTest, rows: int) -> Results:
    step, parts = step_and_parts(target, rows)
    return {name: seen_by_profiler(target, work) for name, work in {"step": step, **parts}.items()}


def seen_by_profiler(target: ModelUnderTest, work: Callable[[], object]) -> Results:
    """Return the number of kernels, their total time, and the names with the largest share."""
    work()
    target.wait()
    with profile(use_kineto=True, use_cpu=not target.is_gpu, use_device="cuda" if target.is_gpu else None) as seen:
        work()
        target.wait()
    events = [event for event in seen.function_events or () if is_work(event, "CUDA" if target.is_gpu else "CPU")]
    if not events:
        return {"kernels": None, "why": "the profiler recorded no event: this machine may forbid profiling"}
    times: defaultdict[str, float] = defaultdict(float)
    for event in events:
        times[event.name[:80]] += microseconds(event)
    longest = sorted(times.items(), key=lambda row: row[1], reverse=True)
    counts = Counter(event.name[:80] for event in events)
    return {
        "kernels": sum(not event.name.lower().startswith(COPIES) for event in events),
        "copies": sum(event.name.lower().startswith(COPIES) for event in events),
        "busy_ms": sum(times.values()) / 1e3,
        "most": [{"name": name, "ms": us / 1e3, "times": counts[name]} for name, us in longest[:MAX_NAMES]],
    }


def is_work(event: Any, device: str) -> bool:
    """Return whether an event is work of the device, not a mark of the profiler."""
    return event.device_type.name == device and not event.name.startswith(("ProfilerStep", "[memory]"))


def microseconds(event: Any) -> float:
    """Return the time of an event on its own device."""
    return float(event.self_device_time_total if event.device_type.name == "CUDA" else event.self_cpu_time_total)
