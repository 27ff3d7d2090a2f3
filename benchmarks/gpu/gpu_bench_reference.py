"""The public reference package on the same device, where it is installed: one stream, as it streams.

Knows how to build it with random weights of the same shapes. A machine without the package says so and nothing else;
`plain` in the other results is the same network called eagerly and stands for it there.
"""

from __future__ import annotations

import copy
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_bench_model import Bench, clocked_ms
from gpu_bench_record import Found, told

STEPS = 8
WARM_UP = 3
TEXT = "今天天气很好，我们去北京。Hello, this is the first test sentence."
SECONDS_TO_COMPILE = 25.0


def measure_reference(bench: Bench, deadline: float) -> Iterator[Found]:
    """Milliseconds per step, first called plainly, then compiled, as the package starts on a GPU."""
    if importlib.util.find_spec("voxcpm") is None:
        yield {"absent": "package voxcpm is not installed: `plain` stands for it"}
        return
    model = _model(bench)
    found: Found = {"eager_step_ms": _step_ms(bench, model, WARM_UP)}
    bench.say(str(found))
    yield found
    if not bench.is_gpu or time.monotonic() > deadline - SECONDS_TO_COMPILE:
        yield found | {"compiled": "left out: on a CPU, or for want of time"}
        return
    try:
        found["compiled_step_ms"] = _step_ms(bench, model.optimize(), 2 * WARM_UP)
    except Exception as error:  # noqa: BLE001 - their compiler's faults are theirs
        found["compiled"] = told(error)
    yield found


def _model(bench: Bench) -> Any:
    """Everything it needs beside PyTorch is there where the package is."""
    from full_size_models import as_type, full_config, reference_model  # noqa: PLC0415
    from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG  # noqa: PLC0415
    from voxfleet_inference.model.random_weights.tiny_tokenizer import write_tiny_tokenizer  # noqa: PLC0415

    config = full_config() if bench.size == "full" else copy.deepcopy(TINY_CONFIG)
    with tempfile.TemporaryDirectory() as name:
        vocabulary = write_tiny_tokenizer(Path(name))
        config["lm_config"].setdefault("vocab_size", vocabulary)
        model = reference_model(config, Path(name), bench.device.type)
    as_type(model, bench.dtype)
    return model


def _step_ms(bench: Bench, model: Any, warm_up: int) -> float:
    steps = model.generate_with_prompt_cache_streaming(TEXT, None, max_len=STEPS + warm_up + 1)
    next(steps)  # reads the prompt

    def step() -> None:
        next(steps)
        bench.wait()

    times = [clocked_ms(step) for _ in range(STEPS + warm_up)]
    steps.close()
    return statistics.median(times[warm_up:])
