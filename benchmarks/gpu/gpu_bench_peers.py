"""What the fast way is compared with on the same device: the other kernels, longer contexts, the plain network."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from gpu_bench_model import POSITIONS, Bench, assign_all, clocked_ms, noise_of, transformers
from gpu_bench_record import Found, for_each
from torch import Tensor
from voxfleet_inference.model.kv_cache import AttentionMetadata
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig

CONTEXTS = (50, 250, 1000, 4000)


def measure_kernels(bench: Bench, deadline: float) -> Iterator[Found]:
    """One pass of LocDiT in five and in eight kernels per layer: where `stack.FIVE_KERNELS_UP_TO_ROWS` belongs."""
    if bench.mode == "plain":
        raise RuntimeError("the model runs without kernels: there is nothing to compare")
    decoder = transformers(bench.assigned().model)[3]

    @torch.inference_mode()
    def both(batch: int) -> Found:
        x = torch.randn(batch * 18, bench.sizes.local_dit.hidden, device=bench.device, dtype=bench.dtype)
        ways = {"five_ms": decoder.in_five, "eight_ms": decoder.in_eight}
        return {"matrix_rows": len(x)} | {
            name: bench.milliseconds(partial(way, x, 9, None, None)) for name, way in ways.items()
        }

    facts = {"layers": bench.sizes.local_dit.layers}
    yield from (facts | found for found in for_each("rows", (1, 2, 4, 8, 16), deadline, both, bench.free))


def measure_contexts(bench: Bench, deadline: float) -> Iterator[Found]:
    """One lone row's pass through both language models, by the positions that it looks back on."""
    runner = bench.assigned()

    @torch.inference_mode()
    def looking_back(positions: int) -> Found:
        lengths = torch.full((1,), positions, device=bench.device)
        metadata = AttentionMetadata.after(torch.zeros_like(lengths), lengths, 1, ((0, positions),))
        heard = torch.zeros(1, 1, bench.sizes.base_lm.hidden, device=bench.device, dtype=bench.dtype)
        read = partial(runner.network.forward_lms, heard[:, :0], heard, runner.kv_caches, metadata)
        return {"lms_ms": bench.milliseconds(read)}

    there = [positions for positions in CONTEXTS if positions < runner.config.positions]
    yield from for_each("positions", there, deadline, looking_back, bench.free)


def measure_plain(bench: Bench, batches: Sequence[int], deadline: float) -> Iterator[Found]:
    """The same machine without any of this: the plain network called eagerly, step by step, as the reference does."""
    model = bench.model(bench.dtype)

    def stepping(rows: int) -> Found:
        runner = ModelRunner(model, RunnerConfig(rows, rows * POSITIONS, rows))
        assign_all(runner, rows)
        slots, noise = list(range(rows)), noise_of(runner, rows)
        times = [clocked_ms(partial(finished_step, bench, runner, slots, noise)) for _ in range(4)]
        return {"step_ms": statistics.median(times[1:])}

    yield from for_each("rows", batches, deadline, stepping, bench.free)


def finished_step(bench: Bench, runner: ModelRunner, slots: list[int], noise: Tensor) -> None:
    """As long as the host waits for it."""
    runner.step(slots, noise)
    bench.wait()
