"""Times of work on a device: between its own events on a GPU, by the host's clock on a CPU.

Work that is captured as a CUDA graph is replayed, so that the host's speed does not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import torch

REPEATS: Final = {"cuda": 20, "cpu": 3}  # of which the median counts; on a CPU a step takes long


def median_ms(work: Callable[[], object], device_type: str) -> float:
    """Return the median milliseconds of `work`, by the clock of the device."""
    clock = between_events if device_type == "cuda" else clocked_ms
    return statistics.median(clock(work) for _ in range(REPEATS[device_type]))


def captured(work: Callable[[], object], stream: Any) -> Callable[[], object]:
    """Capture `work` as a CUDA graph; returns its replay."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay


def clocked_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds of `work` on the host's clock."""
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def between_events(run: Callable[[], object]) -> float:
    """Return the milliseconds between two events of the device around `run`."""
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    before.record()
    run()
    after.record()
    after.synchronize()
    return float(before.elapsed_time(after))
