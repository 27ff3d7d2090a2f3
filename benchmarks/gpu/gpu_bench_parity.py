"""Whether the device computes what it should: fused against plain, kernels against twins, graphs against calls.

Knows relative distances. Does not know times.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from gpu_bench_model import POSITIONS, Bench, assign_all, noise_of, rounded_rotary
from gpu_bench_record import Found, kills_device, told
from torch import Tensor
from voxfleet_inference.model.cuda.codec import CodecDtype, set_float32_products
from voxfleet_inference.model.cuda.fusing import fuse
from voxfleet_inference.model.cuda.kernels import attention, linears, norms
from voxfleet_inference.model.cuda.kernels.softmax import Heads
from voxfleet_inference.model.kv_cache import AttentionMetadata, KvLayer
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM


def measure_parity(bench: Bench, deadline: float) -> Iterator[Found]:
    """Each comparison on its own, so that one that fails does not cost the others."""
    found: Found = {}
    checks: dict[str, Callable[[Bench], object]] = {
        "kernels_against_twins": kernels_against_twins,
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
                made = check(bench)
        except Exception as error:
            if kills_device(error):
                raise
            made = {"error": told(error)}
            bench.free()
        found |= made if name == "teacher_forced" and isinstance(made, dict) else {name: made}
        bench.say(f"{name}: {made}")
        yield found


def teacher_forced(bench: Bench) -> Found:
    """One step from the same beginnings; the fused model may err 1.2 times what the plain one does."""
    rows = min(4, bench.rows)
    made: dict[str, tuple[Tensor, ...]] = {}
    ways = (("exact", torch.float32, False), ("plain", torch.bfloat16, False), ("fused", torch.bfloat16, True))
    for name, dtype, is_fused in ways:
        model = bench.model(dtype)
        if is_fused and bench.mode != "plain":
            fuse(model.network)
        runner = ModelRunner(model, RunnerConfig(rows, rows * POSITIONS, rows))
        assign_all(runner, rows)
        result = runner.step(list(range(rows)), noise_of(runner, rows))
        made[name] = (result.latents.clone(), runner.slot_states.hidden_base[:rows].float(), result.samples.clone())
        del runner, model
    found: Found = {}
    for index, what in enumerate(("latents", "hidden", "samples")):
        errors = {name: relative(made[name][index], made["exact"][index]) for name in ("plain", "fused")}
        found[what] = errors | {"ratio": errors["fused"] / max(errors["plain"], 1e-30), "most": 1.2}
    return found


def relative(made: Tensor, exact: Tensor) -> float:
    """Relative L2 distance."""
    return ((made.float() - exact.float()).norm() / exact.float().norm()).item()


def kernels_against_twins(bench: Bench) -> Found:
    """Each kernel on the device beside the same in PyTorch, at the model's own sizes; a CPU has the twins only."""
    shape, random = bench.sizes.local_dit, torch.Generator(bench.device).manual_seed(0)

    def normal(*size: int, gain: float = 1.0) -> Tensor:
        return (gain * torch.randn(size, generator=random, device=bench.device)).to(bench.dtype)

    heads = Heads(shape.heads, shape.kv_heads, shape.head_dim)
    x, norm = normal(18, shape.hidden), 1 + normal(shape.hidden, gain=0.1)
    weight, wide = normal(shape.hidden, shape.hidden, gain=0.03), normal(2 * shape.ffn, shape.hidden, gain=0.03)
    rotary = rounded_rotary(bench.sizes, bench.device, bench.dtype)
    qkv, patch = normal(3, 1, sum(heads.widths)), normal(2, 9, sum(heads.widths))
    layer = KvLayer(normal(300, heads.keys, heads.dim), normal(300, heads.keys, heads.dim))
    lengths = torch.tensor([0, 40, 90], device=bench.device)
    first = torch.tensor([0, 100, 200], device=bench.device)
    past = attention.Past(layer, AttentionMetadata.after(first, lengths, 1, ((0, 0), (100, 40), (200, 90))))
    eps = 1e-5
    patches, steps = (patch, heads, rotary, None), (qkv, heads, rotary, past)
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
        "attention_with_past": (attention.attention(*steps), attention.attention_reference(*steps)),
    }
    return {name: relative(kernel, reference) for name, (kernel, reference) in pairs.items()}


def codec_decibels(bench: Bench) -> float | None:
    """How far the fused model's codec, as it computes, is below the sound of one without reduced products."""
    random = torch.Generator().manual_seed(7)
    frames = torch.randn(2, bench.sizes.feat_dim, 16, generator=random).to(bench.device)

    def decoded(model: VoxCPM, dtype: CodecDtype) -> Tensor:
        set_float32_products(dtype)
        return model.vae.decode(frames, model.vae.decoder.start(2))

    made = decoded(bench.assigned().model, bench.codec)
    far = relative(made, decoded(bench.model(torch.float32), "fp32"))
    set_float32_products(bench.codec)
    return -20 * math.log10(far) if far else None


def graph_against_eager(bench: Bench) -> float | None:
    """The farthest that a recorded step's latents and samples are from the same step called directly."""
    if bench.mode != "recorded":
        return None
    runner, rows = bench.assigned(), min(3, bench.rows)
    graphs, made = runner.step_fn, []
    try:
        for step_fn in (runner.compute_step, graphs):
            runner.step_fn = step_fn
            assign_all(runner, rows)
            result = runner.step(list(range(rows)), noise_of(runner, rows))
            made.append((result.latents.clone(), result.samples.clone()))
    finally:
        runner.step_fn = graphs
    return max(relative(replayed, eager) for eager, replayed in zip(*made, strict=True))
