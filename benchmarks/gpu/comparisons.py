"""Comparisons on the same device: the other forward method, longer contexts, the plain network."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from device_clocks import clocked_ms
from model_under_test import POSITIONS, ModelUnderTest, noise_of, prefill_all, transformers
from result_file import Results, for_each
from torch import Tensor
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig

CONTEXTS = (50, 250, 1000, 4000)  # KV positions: a short sentence, a long one, and beyond what the model is used for


def measure_kernels(target: ModelUnderTest, deadline: float) -> Iterator[Results]:
    """Measure one pass of LocDiT with five and with eight kernels per layer, which decides `stack.FUSED_MAX_ROWS`."""
    if target.mode == "plain":
        raise RuntimeError("the model runs without kernels: there is nothing to compare")
    decoder = transformers(target.started_runner().model)[3]

    @torch.inference_mode()
    def both(batch: int) -> Results:
        x = torch.randn(batch * 18, target.sizes.local_dit.hidden, device=target.device, dtype=target.dtype)
        ways = {"fused_ms": decoder.forward_fused, "cublas_ms": decoder.forward_cublas}
        return {"matrix_rows": len(x)} | {
            name: target.milliseconds(partial(way, x, 9, None, None)) for name, way in ways.items()
        }

    layers = {"layers": target.sizes.local_dit.layers}
    yield from (layers | found for found in for_each("rows", (1, 2, 4, 8, 16), deadline, both, target.free))


def measure_contexts(target: ModelUnderTest, deadline: float) -> Iterator[Results]:
    """Measure the pass of a single row through both language models, by the length of its context."""
    runner = target.started_runner()

    @torch.inference_mode()
    def with_context(positions: int) -> Results:
        lengths = torch.full((1,), positions, device=target.device)
        metadata = AttentionMetadata.after(torch.zeros_like(lengths), lengths, 1, ((0, positions),))
        collected = torch.zeros(1, 1, target.sizes.base_lm.hidden, device=target.device, dtype=target.dtype)
        read = partial(runner.network.forward_lms, collected[:, :0], collected, runner.kv_caches, metadata)
        return {"lms_ms": target.milliseconds(read)}

    there = [positions for positions in CONTEXTS if positions < runner.config.positions]
    yield from for_each("positions", there, deadline, with_context, target.free)


def measure_plain(target: ModelUnderTest, batches: Sequence[int], deadline: float) -> Iterator[Results]:
    """Measure the plain network, called eagerly step by step, as the reference does."""
    model = target.model(target.dtype)

    def stepping(rows: int) -> Results:
        runner = ModelRunner(model, RunnerConfig(rows, rows * POSITIONS, rows))
        prefill_all(runner, rows)
        slots, noise = list(range(rows)), noise_of(runner, rows)
        times = [clocked_ms(partial(finished_step, target, runner, slots, noise)) for _ in range(4)]
        return {"step_ms": statistics.median(times[1:])}

    yield from for_each("rows", batches, deadline, stepping, target.free)


def finished_step(target: ModelUnderTest, runner: ModelRunner, slots: list[int], noise: Tensor) -> None:
    """Take a step and wait for the device."""
    runner.step(slots, noise)
    target.wait()
