"""What a step's time is made of: kernels and their times, by part, as PyTorch's profiler sees them.

Knows the profiler. On a CPU it counts operations in place of kernels. A machine that forbids profiling has times all
the same, from the other parts; there counts are missing and the profiler's error is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from gpu_bench_model import Bench, assign_all, noise_of, parts_of
from gpu_bench_record import Found, for_each
from torch.autograd.profiler import profile  # that of torch.profiler imports the whole compiler first

MOST_NAMES = 8
COPIES = ("memcpy", "memset")


def measure_profile(bench: Bench, batches: Sequence[int], deadline: float) -> Iterator[Found]:
    """The smallest and the largest batch first, because they tell most."""
    order = sorted(batches, key=lambda rows: (rows not in {min(batches), max(batches)}, rows))
    yield from for_each("rows", order, deadline, partial(_by_part, bench), bench.free)


@torch.inference_mode()
def _by_part(bench: Bench, rows: int) -> Found:
    bench.refuse_more_rows(rows)
    runner = bench.assigned()
    assign_all(runner, rows)
    given = noise_of(runner, rows).to(bench.device, bench.dtype)
    step = partial(runner.step_fn, runner.rows_of(list(range(rows))), given)
    works = {"step": step, **parts_of(runner, rows, given)}
    return {name: seen_by_profiler(bench, work) for name, work in works.items()}


def seen_by_profiler(bench: Bench, work: Callable[[], object]) -> Found:
    """Kernels, their time together, and the names that take most of it."""
    work()
    bench.wait()
    with profile(use_kineto=True, use_cpu=not bench.is_gpu, use_device="cuda" if bench.is_gpu else None) as seen:
        work()
        bench.wait()
    events = [event for event in seen.function_events or () if is_work(event, "CUDA" if bench.is_gpu else "CPU")]
    if not events:
        return {"kernels": None, "why": "the profiler saw nothing: it may be forbidden here"}
    times: Counter[str] = Counter()
    for event in events:
        times[event.name[:80]] += microseconds(event)
    counts = Counter(event.name[:80] for event in events)
    return {
        "kernels": sum(not event.name.lower().startswith(COPIES) for event in events),
        "copies": sum(event.name.lower().startswith(COPIES) for event in events),
        "busy_ms": sum(times.values()) / 1e3,
        "most": [{"name": name, "ms": us / 1e3, "times": counts[name]} for name, us in times.most_common(MOST_NAMES)],
    }


def is_work(event: Any, device: str) -> bool:
    """Whether it ran there; the profiler's own marks do not."""
    return event.device_type.name == device and not event.name.startswith(("ProfilerStep", "[memory]"))


def microseconds(event: Any) -> float:
    """Of the device, or of the host where that is the device."""
    return float(event.self_device_time_total if event.device_type.name == "CUDA" else event.self_cpu_time_total)
