"""What the fast way is compared with on the same device: the other kernels, and the plain network called eagerly."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import partial

import torch
from gpu_bench_model import POSITIONS, Bench, Found, clocked, noise_of, seat_all, transformers
from torch import Tensor
from voxfleet_inference.model.seats.speaker import Room, Speaker


@torch.inference_mode()
def measure_kernels(bench: Bench, deadline: float) -> Found:
    """One pass of LocDiT in five and in eight kernels per layer: where `stack.FIVE_KERNELS_UP_TO_ROWS` belongs."""
    decoder, hidden = transformers(bench.seated().model)[3], bench.sizes.local_dit.hidden
    found: Found = {"layers": bench.sizes.local_dit.layers, "rows": []}
    for batch in (1, 2, 4, 8, 16):
        if time.monotonic() > deadline:
            return found | {"stopped_for_time": True}
        x = torch.randn(batch * 18, hidden, device=bench.device, dtype=bench.dtype)
        five_ms = bench.milliseconds(partial(decoder.in_five, x, 9, None, None))
        eight_ms = bench.milliseconds(partial(decoder.in_eight, x, 9, None, None))
        found["rows"].append({"rows": len(x), "five_ms": five_ms, "eight_ms": eight_ms})
        bench.say(str(found["rows"][-1]))
    return found


@torch.inference_mode()
def measure_peers(bench: Bench, batches: Sequence[int], deadline: float) -> Found:
    """The same machine without any of this: the plain network called eagerly, step by step, as the reference does."""
    model = bench.model(bench.dtype)
    speaker, found = Speaker(model, Room(max(batches), max(batches) * POSITIONS, max(batches))), {"plain_eager": []}
    seat_all(speaker, max(batches))
    for rows in batches:
        if time.monotonic() > deadline:
            return found | {"stopped_for_time": True}
        seats, noise = list(range(rows)), noise_of(speaker, rows)
        times = [clocked(partial(finished_step, bench, speaker, seats, noise)) for _ in range(4)]
        found["plain_eager"].append({"rows": rows, "step_ms": 1e3 * statistics.median(times[1:])})
        bench.say(str(found["plain_eager"][-1]))
    return found


def finished_step(bench: Bench, speaker: Speaker, seats: list[int], noise: Tensor) -> None:
    """As long as the host waits for it."""
    speaker.step(seats, noise)
    bench.wait()
