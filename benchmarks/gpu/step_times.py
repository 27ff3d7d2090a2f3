"""The times of a model's steps by batch size and by part.

A step is timed as a server runs it: fill a graph's inputs and replay it. Its parts are captured as graphs of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from device_clocks import median_ms
from model_under_test import ModelUnderTest, noise_of, prefill_all
from result_file import Results, for_each
from torch import Tensor
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata
from voxfleet_inference.model.runner.model_runner import ModelRunner


def measure_steps(target: ModelUnderTest, batches: Sequence[int], deadline: float) -> Iterator[Results]:
    """Measure a step and its parts by batch size; every row has a prompt of 51 positions."""
    yield from for_each("rows", batches, deadline, partial(_step_and_parts, target), target.free)


@torch.inference_mode()
def _step_and_parts(target: ModelUnderTest, rows: int) -> Results:
    step, parts = step_and_parts(target, rows)
    step()
    step_ms = median_ms(step, target.device.type)
    part_ms = {name: target.milliseconds(work) for name, work in parts.items()}
    return {"step_ms": step_ms, "times_real_time": rows * target.patch_seconds / step_ms * 1e3, "part_ms": part_ms}


def step_and_parts(target: ModelUnderTest, rows: int) -> tuple[Callable[[], object], dict[str, Callable[[], object]]]:
    """Return a step of so many rows, which have their prompts, and its parts. Raises what `check_rows` raises."""
    target.check_rows(rows)
    runner = target.started_runner()
    prefill_all(runner, rows)
    given = noise_of(runner, rows).to(target.device, target.dtype)
    step = partial(runner.step_fn, runner.batch_of(list(range(rows))), given)  # a graph, filled and replayed
    return step, parts_of(runner, rows, given)


def parts_of(runner: ModelRunner, rows: int, noise: Tensor) -> dict[str, Callable[[], object]]:
    """Return the parts of a step as functions that run alone."""
    here = runner.batch_of(list(range(rows)))
    states, network = runner.slot_states.gather(here), runner.network
    collected = network.embed_patches(noise[:, None])
    metadata = AttentionMetadata.after(states.first, states.lengths, 1, here.extents)
    return {
        "solver": lambda: network.sample_patch(noise, states.previous, states.hidden, states.guidance),
        "codec": lambda: runner.decode_audio(here, noise),
        "encoder": lambda: network.embed_patches(noise[:, None]),
        "lms": lambda: network.forward_lms(collected[:, :0], collected, runner.kv_caches, metadata),
    }
