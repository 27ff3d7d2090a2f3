"""Numerical checks on the device: fused against plain, kernels against references, graphs against direct calls.

Knows: relative distances. Does not know: times.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from model_under_test import POSITIONS, ModelUnderTest, noise_of, prefill_all, rounded_rotary
from result_file import Results, describe, kills_device
from torch import Tensor
from voxfleet_inference.model.cuda.codec import CodecDtype, set_tf32
from voxfleet_inference.model.cuda.kernels import attention, linears, norms
from voxfleet_inference.model.cuda.kernels.softmax import Heads
from voxfleet_inference.model.cuda.optimize import fuse_transformers
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvLayer
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM


def measure_parity(target: ModelUnderTest, deadline: float) -> Iterator[Results]:
    """Run each check alone, so that a failed one leaves the results of the others."""
    found: Results = {}
    checks: dict[str, Callable[[ModelUnderTest], object]] = {
        "kernels_against_reference": kernels_against_reference,
        "graph_against_eager": graph_against_eager,
        "codec_decibels": codec_decibels,
        "teacher_forced": teacher_forced,
    }
    for name, check in checks.items():
        if time.monotonic() > deadline:
            yield found | {"stopped_for_time": True}
            return
        try:
            with torch.inference_mode():
                made = check(target)
        except Exception as error:
            if kills_device(error):
                raise
            made = {"error": describe(error)}
            target.free()
        found |= made if name == "teacher_forced" and isinstance(made, dict) else {name: made}
        target.print_line(f"{name}: {made}")
        yield found


def teacher_forced(target: ModelUnderTest) -> Results:
    """Compare one step from the same state; the fused model's error may be 1.2 times the plain one's."""
    rows = min(4, target.rows)
    made: dict[str, tuple[Tensor, ...]] = {}
    ways = (("exact", torch.float32, False), ("plain", torch.bfloat16, False), ("fused", torch.bfloat16, True))
    for name, dtype, is_fused in ways:
        model = target.model(dtype)
        if is_fused and target.mode != "plain":
            fuse_transformers(model.network)
        runner = ModelRunner(model, RunnerConfig(rows, rows * POSITIONS, rows))
        prefill_all(runner, rows)
        result = runner.step(list(range(rows)), noise_of(runner, rows))
        made[name] = (result.latents.clone(), runner.slot_states.hidden_base[:rows].float(), result.samples.clone())
        del runner, model
    found: Results = {}
    for index, what in enumerate(("latents", "hidden", "samples")):
        errors = {name: relative(made[name][index], made["exact"][index]) for name in ("plain", "fused")}
        found[what] = errors | {"ratio": errors["fused"] / max(errors["plain"], 1e-30), "most": 1.2}
    return found


def relative(made: Tensor, exact: Tensor) -> float:
    """Return the relative L2 distance."""
    return float((made.float() - exact.float()).norm() / exact.float().norm())


def kernels_against_reference(target: ModelUnderTest) -> Results:
    """Compare each kernel with its reference in PyTorch, at the model's sizes; on a CPU both are the reference."""
    shape, random = target.sizes.local_dit, torch.Generator(target.device).manual_seed(0)

    def normal(*size: int, gain: float = 1.0) -> Tensor:
        return (gain * torch.randn(size, generator=random, device=target.device)).to(target.dtype)

    heads = Heads(shape.heads, shape.kv_heads, shape.head_dim)
    x, norm = normal(18, shape.hidden), 1 + normal(shape.hidden, gain=0.1)
    weight, wide = normal(shape.hidden, shape.hidden, gain=0.03), normal(2 * shape.ffn, shape.hidden, gain=0.03)
    rotary = rounded_rotary(target.sizes, target.device, target.dtype)
    qkv, patch = normal(3, 1, sum(heads.widths)), normal(2, 9, sum(heads.widths))
    layer = KvLayer(normal(300, heads.keys, heads.dim), normal(300, heads.keys, heads.dim))
    lengths = torch.tensor([0, 40, 90], device=target.device)
    first = torch.tensor([0, 100, 200], device=target.device)
    context = attention.KvContext(layer, AttentionMetadata.after(first, lengths, 1, ((0, 0), (100, 40), (200, 90))))
    eps = 1e-5
    patches, steps = (patch, heads, rotary, None), (qkv, heads, rotary, context)
    gated = normal(18, 2 * shape.ffn)
    pairs: dict[str, tuple[Any, Any]] = {
        "norm": (norms.add_norm(x, x, 1.0, norm, eps)[1], norms.add_norm_reference(x, x, 1.0, norm, eps)[1]),
        "swiglu": (norms.swiglu(gated), norms.swiglu_reference(gated)),
        "norm_linear": (linears.norm_linear(x, norm, eps, weight), linears.norm_linear_reference(x, norm, eps, weight)),
        "norm_swiglu": (
            linears.norm_linear(x, norm, eps, wide, is_swiglu=True),
            linears.norm_linear_reference(x, norm, eps, wide, is_swiglu=True),
        ),
        "linear_residual": (linears.linear_residual(x, weight, x), linears.linear_residual_reference(x, weight, x)),
        "attention": (attention.attention(*patches), attention.attention_reference(*patches)),
        "attention_with_cache": (attention.attention(*steps), attention.attention_reference(*steps)),
    }
    return {name: relative(kernel, reference) for name, (kernel, reference) in pairs.items()}


def codec_decibels(target: ModelUnderTest) -> float | None:
    """Return the signal-to-noise ratio of the optimized codec in decibels, against float32 without TF32."""
    random = torch.Generator().manual_seed(7)
    frames = torch.randn(2, target.sizes.feat_dim, 16, generator=random).to(target.device)

    def decoded(model: VoxCPM, dtype: CodecDtype) -> Tensor:
        set_tf32(dtype)
        return model.vae.decode(frames, model.vae.decoder.initial_state(2))

    made = decoded(target.started_runner().model, target.codec)
    far = relative(made, decoded(target.model(torch.float32), "fp32"))
    set_tf32(target.codec)
    return -20 * math.log10(far) if far else None


def graph_against_eager(target: ModelUnderTest) -> float | None:
    """Return the largest distance of a replayed step's latents and samples from the same step called directly."""
    if target.mode != "recorded":
        return None
    runner, rows = target.started_runner(), min(3, target.rows)
    graphs, made = runner.step_fn, []
    try:
        for step_fn in (runner.compute_step, graphs):
            runner.step_fn = step_fn
            prefill_all(runner, rows)
            result = runner.step(list(range(rows)), noise_of(runner, rows))
            made.append((result.latents.clone(), result.samples.clone()))
    finally:
        runner.step_fn = graphs
    return max(relative(replayed, eager) for eager, replayed in zip(*made, strict=True))
