"""The public reference package on the same device, if it is installed: one stream of its streaming generator.

Knows: how to build it with random weights of the same shapes. Without the package the result is a note; `plain` in the
other results is the same network called eagerly.
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

from device_clocks import clocked_ms
from model_under_test import ModelUnderTest
from result_file import Results, describe

STEPS = 8  # timed
WARM_UP = 3  # steps before
TEXT = "今天天气很好，我们去北京。Hello, this is the first test sentence."
SECONDS_TO_COMPILE = 25.0  # about what torch.compile takes; with less time left it is skipped


def measure_reference(target: ModelUnderTest, deadline: float) -> Iterator[Results]:
    """Measure milliseconds per step, first eager, then compiled, as the package starts on a GPU."""
    if importlib.util.find_spec("voxcpm") is None:
        yield {"absent": "package voxcpm is not installed: compare with `plain`"}
        return
    model = _model(target)
    found: Results = {"eager_step_ms": _step_ms(target, model, WARM_UP)}
    target.print_line(str(found))
    yield found
    if not target.is_gpu or time.monotonic() > deadline - SECONDS_TO_COMPILE:
        yield found | {"compiled": "skipped: on a CPU, or too little time"}
        return
    try:
        found["compiled_step_ms"] = _step_ms(target, model.optimize(), 2 * WARM_UP)
    except Exception as error:  # noqa: BLE001 - a failure of their compiler is a result
        found["compiled"] = describe(error)
    yield found


def _model(target: ModelUnderTest) -> Any:
    """Build the reference model; its dependencies are installed with the package."""
    from full_size_models import as_type, full_config, reference_model  # noqa: PLC0415
    from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG  # noqa: PLC0415
    from voxfleet_inference.model.random_weights.tiny_tokenizer import write_tiny_tokenizer  # noqa: PLC0415

    config = full_config() if target.size == "full" else copy.deepcopy(TINY_CONFIG)
    with tempfile.TemporaryDirectory() as name:
        vocabulary = write_tiny_tokenizer(Path(name))
        config["lm_config"].setdefault("vocab_size", vocabulary)
        model = reference_model(config, Path(name), target.device.type)
    as_type(model, target.dtype)
    return model


def _step_ms(target: ModelUnderTest, model: Any, warm_up: int) -> float:
    steps = model.generate_with_prompt_cache_streaming(TEXT, None, max_len=STEPS + warm_up + 1)
    next(steps)  # reads the prompt

    def step() -> None:
        next(steps)
        target.wait()

    times = [clocked_ms(step) for _ in range(STEPS + warm_up)]
    steps.close()
    return statistics.median(times[warm_up:])
