"""The model on the device: created, optimized, captured, as a server starts it.

Knows: the model, its slots and a prompt for them. Does not know: what is measured of it (step_times.py and others).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from device_clocks import captured, median_ms
from result_file import Results
from torch import Tensor
from voxfleet_inference.model.cuda.codec import CodecDtype
from voxfleet_inference.model.cuda.graphs import StepGraphs
from voxfleet_inference.model.cuda.optimize import optimize_model
from voxfleet_inference.model.cuda.shapes import Sizes, tiny_sizes
from voxfleet_inference.model.random_weights.random_model import random_model
from voxfleet_inference.model.runner.decoding import DecodingSettings, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend

POSITIONS = 256  # KV positions of each slot
PROMPT = Prompt([300 + index for index in range(50)])  # 50 tokens, none of them a control token
PrintLine = Callable[[str], None]


@dataclass
class ModelUnderTest:
    """The optimized model with its graphs; `start` creates them."""

    device: torch.device
    size: str
    rows: int
    asked_codec: CodecDtype | None
    print_line: PrintLine
    mode: str = "recorded"  # with CUDA graphs; or "launched" (kernels alone), or "plain" (neither)
    before_start: Results = field(default_factory=dict)  # seconds of the process before it can create a model
    is_started: bool = False
    runner: ModelRunner | None = None

    def __post_init__(self) -> None:
        self.sizes = Sizes() if self.size == "full" else tiny_sizes()
        self.dtype = torch.bfloat16 if self.is_gpu else torch.float32  # plain bfloat16 is slow on most CPUs
        self.codec: CodecDtype = self.asked_codec or ("tf32" if self.is_gpu else "fp32")
        self.patch_seconds = 1 / self.sizes.patches_per_second
        self._stream: torch.cuda.Stream | None = None

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    def model(self, dtype: torch.dtype) -> VoxCPM:
        """Create a plain model; the weights are the same in every dtype, but for rounding."""
        model = random_model(self.sizes, self.device, torch.float32)
        model.network.to(dtype)
        for transformer in transformers(model):
            transformer.rotary = rounded_rotary(self.sizes, self.device, dtype)
        return VoxCPM(model.config, model.tokenizer, model.network, model.vae)

    def start(self, _deadline: float) -> Iterator[Results]:
        """Start as a server does, except for reading files; yields the seconds of each phase."""
        found = dict(self.before_start)
        for name, work in self._phases():
            began = time.monotonic()
            work()
            self.wait()
            found[f"{name}_seconds"] = round(time.monotonic() - began, 3)
            self.print_line(f"{name}: {found[f'{name}_seconds']} s")
            yield found
        self.is_started = True

    def _phases(self) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "weights", self._create
        if self.mode != "plain":
            yield "fuse", lambda: optimize_model(self.optimized, self.codec)
        yield "slots", self._make_backend
        yield "kernels_and_first_step", lambda: first_step(self.started_runner())
        if self.mode == "recorded":
            yield "graphs", self._capture

    def _create(self) -> None:
        self.optimized = self.model(self.dtype)

    def _make_backend(self) -> None:
        config = RunnerConfig(4 * self.rows, 4 * self.rows * POSITIONS, self.rows)
        self.backend = VoxCpmBackend(self.optimized, config, self._keep_runner)

    def _keep_runner(self, runner: ModelRunner) -> None:
        self.runner = runner

    def _capture(self) -> None:
        graphs = StepGraphs(self.started_runner())
        graphs.warm_up(lambda done, of: self.print_line(f"  graph {done} of {of}"))
        self.started_runner().step_fn = graphs

    def started_runner(self) -> ModelRunner:
        """Return the optimized model's runner.

        Raises:
            RuntimeError: the model was not started.
        """
        if self.runner is None:
            raise RuntimeError("the model was not started")
        return self.runner

    def wait(self) -> None:
        """Wait for the device."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def milliseconds(self, work: Callable[[], object]) -> float:
        """Return the median time of `work`: between events on a GPU, and captured as a graph in mode "recorded"."""
        run = captured(work, self._capture_stream()) if self.is_gpu and self.mode == "recorded" else work
        run()
        return median_ms(run, self.device.type)

    def _capture_stream(self) -> torch.cuda.Stream:
        """One stream for all captures, because cuBLAS allocates a workspace for every stream."""
        if self._stream is None:
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        return self._stream

    def check_rows(self, rows: int) -> None:
        """Reject a batch that is larger than the model was started with.

        Raises:
            ValueError: it is.
        """
        if rows > self.rows:
            raise ValueError(f"the model was started with room for {self.rows} rows: no measurement of {rows}")

    def free(self) -> None:
        """Free the memory that a failed measurement left behind."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()

    def memory(self) -> Results:
        """Return the peak and reserved memory of the device."""
        if not self.is_gpu:
            return {}
        peak, reserved = torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved()
        return {"peak_gib": peak / 2**30, "reserved_gib": reserved / 2**30}


def machine(device: torch.device, size: str) -> Results:
    """Describe the device and the versions of the packages."""
    found: Results = {
        "device": device.type,
        "size": size,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "weights": "random",
    }
    try:
        import triton  # noqa: PLC0415

        found["triton"] = triton.__version__
    except ImportError:
        found["triton"] = None
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found["device"] = properties.name
        found |= {"capability": f"{properties.major}.{properties.minor}"}
        found |= {"memory_gib": properties.total_memory / 2**30, "multiprocessors": properties.multi_processor_count}
    return found


def transformers(model: VoxCPM) -> list[Any]:
    """Return the model's four transformers."""
    network = model.network
    return [network.base_lm, network.residual_lm, network.feat_encoder.encoder, network.feat_decoder.estimator.decoder]


def rounded_rotary(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Any:
    """Return a rotary table in `dtype`: the reference rounds its tables as it rounds weights."""
    from voxfleet_inference.model.layers.transformer import RotaryTable  # noqa: PLC0415

    return RotaryTable(sizes.base_lm.rotary, sizes.max_length, device, dtype)


def prefill_all(runner: ModelRunner, rows: int, positions: int = POSITIONS) -> None:
    """Admit and prefill a sentence in each of the first `rows` slots."""
    for slot in range(rows):
        runner.admit(slot, slot * positions, positions, PROMPT, DecodingSettings(10, 2.0))
        runner.prefill(slot, PROMPT.positions)


def noise_of(runner: ModelRunner, rows: int) -> Tensor:
    """Return the noise of a batch, the same in every call."""
    config = runner.model.config
    random = torch.Generator().manual_seed(rows)
    return torch.randn(rows, config.patch_size, config.feat_dim, generator=random)


def first_step(runner: ModelRunner) -> None:
    """Take one step of one row without a graph: kernels are compiled, or loaded from the cache."""
    prefill_all(runner, 1)
    runner.step([0], noise_of(runner, 1))
