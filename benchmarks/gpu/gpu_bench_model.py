"""The model on the device: made, fused, recorded; timed by batch and by part.

Knows the model's own parts. Times on a GPU are between events of the device; those of parts are of recordings, so that
no host's speed is in them; that of a step is of what a server does: filling a graph's inputs and replaying it.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from gpu_bench_record import Found, for_each
from torch import Tensor
from voxfleet_inference.model.cuda.codec import CodecDtype
from voxfleet_inference.model.cuda.fusing import prepare
from voxfleet_inference.model.cuda.graphs import StepGraphs
from voxfleet_inference.model.cuda.shapes import Sizes, tiny_sizes
from voxfleet_inference.model.kv_cache import AttentionMetadata
from voxfleet_inference.model.random_weights.random_model import random_model
from voxfleet_inference.model.runner.decoding import DecodingSettings, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend

POSITIONS = 256  # of each seat
PROMPT = Prompt([300 + index for index in range(50)])
REPEATS = {"cuda": 20, "cpu": 3}
Say = Callable[[str], None]


@dataclass
class Bench:
    """The fused model with its graphs, once it was started."""

    device: torch.device
    size: str
    rows: int
    asked_codec: CodecDtype | None
    say: Say
    mode: str = "recorded"  # or launched, without graphs; or plain, without kernels too
    before_start: Found = field(default_factory=dict)  # what the process took until it could make a model
    is_started: bool = False
    runner: ModelRunner | None = None

    def __post_init__(self) -> None:
        self.sizes = Sizes() if self.size == "full" else tiny_sizes()
        self.dtype = torch.bfloat16 if self.is_gpu else torch.float32
        self.codec: CodecDtype = self.asked_codec or ("tf32" if self.is_gpu else "fp32")
        self.patch_seconds = 1 / self.sizes.patches_per_second
        self._stream: torch.cuda.Stream | None = None

    @property
    def is_gpu(self) -> bool:
        """Whether graphs, events and kernels are real."""
        return self.device.type == "cuda"

    def model(self, dtype: torch.dtype) -> VoxCPM:
        """Plain, with the same weights each time, whatever the format they are rounded to."""
        model = random_model(self.sizes, self.device, torch.float32)
        model.network.to(dtype)
        for transformer in transformers(model):
            transformer.rotary = rounded_rotary(self.sizes, self.device, dtype)
        return VoxCPM(model.config, model.tokenizer, model.network, model.vae)

    def start(self, _deadline: float) -> Iterator[Found]:
        """Start-up, phase by phase; what a server does but for reading files."""
        found = dict(self.before_start)
        for name, work in self._phases():
            began = time.monotonic()
            work()
            self.wait()
            found[f"{name}_seconds"] = round(time.monotonic() - began, 3)
            self.say(f"{name}: {found[f'{name}_seconds']} s")
            yield found
        self.is_started = True

    def _phases(self) -> Iterator[tuple[str, Callable[[], object]]]:
        yield "weights", self._make
        if self.mode != "plain":
            yield "fuse", lambda: prepare(self.made, self.codec)
        yield "seats", self._slot
        yield "kernels_and_first_step", lambda: first_step(self.assigned())
        if self.mode == "recorded":
            yield "graphs", self._record

    def _make(self) -> None:
        self.made = self.model(self.dtype)

    def _slot(self) -> None:
        config = RunnerConfig(4 * self.rows, 4 * self.rows * POSITIONS, self.rows)
        self.speech = VoxCpmBackend(self.made, config, self._keep)

    def _keep(self, runner: ModelRunner) -> None:
        self.runner = runner

    def _record(self) -> None:
        graphs = StepGraphs(self.assigned())
        graphs.warm_up(lambda done, of: self.say(f"  graph {done} of {of}"))
        self.assigned().step_fn = graphs

    def assigned(self) -> ModelRunner:
        """The fused model's seats."""
        if self.runner is None:
            raise RuntimeError("the model was not started")
        return self.runner

    def wait(self) -> None:
        """For the device."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def milliseconds(self, work: Callable[[], object]) -> float:
        """Median time of one run: between events on a GPU, of a recording if there are recordings."""
        run = recorded(work, self._recording_stream()) if self.is_gpu and self.mode == "recorded" else work
        run()
        clock = _between_events if self.is_gpu else clocked_ms
        return statistics.median(clock(run) for _ in range(REPEATS[self.device.type]))

    def _recording_stream(self) -> torch.cuda.Stream:
        """One for all recordings: cuBLAS keeps memory for every stream it has seen."""
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        return self._stream

    def refuse_more_rows(self, rows: int) -> None:
        """Than the model was made for."""
        if rows > self.rows:
            raise ValueError(f"the model was started with room for {self.rows} rows: no measurement of {rows}")

    def free(self) -> None:
        """Give back what a failure left behind."""
        gc.collect()
        if self.is_gpu:
            torch.cuda.empty_cache()

    def memory(self) -> Found:
        """Of the device."""
        if not self.is_gpu:
            return {}
        peak, reserved = torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved()
        return {"peak_gib": peak / 2**30, "reserved_gib": reserved / 2**30}


def machine(device: torch.device, size: str) -> Found:
    """What runs."""
    found: Found = {
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
        facts = torch.cuda.get_device_properties(device)
        found["device"] = facts.name
        found |= {"capability": f"{facts.major}.{facts.minor}"}
        found |= {"memory_gib": facts.total_memory / 2**30, "multiprocessors": facts.multi_processor_count}
    return found


def transformers(model: VoxCPM) -> list[Any]:
    """All four."""
    network = model.network
    return [network.base_lm, network.residual_lm, network.feat_encoder.encoder, network.feat_decoder.estimator.decoder]


def rounded_rotary(sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Any:
    """The reference rounds its tables as it rounds weights."""
    from voxfleet_inference.model.transformer import RotaryTable  # noqa: PLC0415

    return RotaryTable(sizes.base_lm.rotary, sizes.max_length, device, dtype)


def recorded(work: Callable[[], object], stream: Any) -> Callable[[], object]:
    """The same as a graph."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay  # type: ignore[no-any-return]


def clocked_ms(work: Callable[[], object]) -> float:
    """Milliseconds it took the host."""
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)


def _between_events(run: Callable[[], object]) -> float:
    """Milliseconds it took the device."""
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    run()
    after.record()
    after.synchronize()
    return before.elapsed_time(after)


def assign_all(runner: ModelRunner, rows: int, positions: int = POSITIONS) -> None:
    """So many sentences that have read their prompts."""
    for slot in range(rows):
        runner.admit(slot, slot * positions, positions, PROMPT, DecodingSettings(10, 2.0))
        runner.prefill(slot, PROMPT.positions)


def noise_of(runner: ModelRunner, rows: int) -> Tensor:
    """The same every time."""
    config = runner.model.config
    random = torch.Generator().manual_seed(rows)
    return torch.randn(rows, config.patch_size, config.feat_dim, generator=random)


def first_step(runner: ModelRunner) -> None:
    """One row, one step, not recorded: kernels are compiled or found."""
    assign_all(runner, 1)
    runner.step([0], noise_of(runner, 1))


def measure_steps(bench: Bench, batches: Sequence[int], deadline: float) -> Iterator[Found]:
    """A whole step and its parts, by the rows that take it; every row has read a prompt of 51 positions."""
    yield from for_each("rows", batches, deadline, partial(_step_and_parts, bench), bench.free)


@torch.inference_mode()
def _step_and_parts(bench: Bench, rows: int) -> Found:
    bench.refuse_more_rows(rows)
    runner = bench.assigned()
    assign_all(runner, rows)
    given = noise_of(runner, rows).to(bench.device, bench.dtype)
    step = partial(runner.step_fn, runner.rows_of(list(range(rows))), given)  # a graph, filled and replayed
    step()
    clock = _between_events if bench.is_gpu else clocked_ms
    step_ms = statistics.median(clock(step) for _ in range(REPEATS[bench.device.type]))
    parts = {name: bench.milliseconds(work) for name, work in parts_of(runner, rows, given).items()}
    return {"step_ms": step_ms, "times_real_time": rows * bench.patch_seconds / step_ms * 1e3, "part_ms": parts}


def parts_of(runner: ModelRunner, rows: int, noise: Tensor) -> dict[str, Callable[[], object]]:
    """What a step consists of, each to be run on its own."""
    here = runner.rows_of(list(range(rows)))
    states, network = runner.slot_states.gather(here), runner.network
    heard = network.embed_patches(noise[:, None])
    metadata = AttentionMetadata.after(states.first, states.lengths, 1, here.extents)
    return {
        "solver": lambda: network.sample_patch(noise, states.previous, states.hidden, states.guidance),
        "codec": lambda: runner.decode_audio(here, noise),
        "encoder": lambda: network.embed_patches(noise[:, None]),
        "lms": lambda: network.forward_lms(heard[:, :0], heard, runner.kv_caches, metadata),
    }
