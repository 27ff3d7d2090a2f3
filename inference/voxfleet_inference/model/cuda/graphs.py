"""Whole steps recorded as CUDA graphs: one launch instead of a thousand, and the codec beside the language models.

Knows buckets of rows, how a batch is filled up with empty seats, and what a recording needs: tensors that stay where
they are, and a first run before it. Does not know what a step computes. On a CPU the same class calls the step
directly, on the same padded rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from voxfleet_inference.model.runner.decoding import PatchResult
from voxfleet_inference.model.runner.model_runner import ModelRunner
from voxfleet_inference.model.runner.slot_states import MOST_EVALUATIONS, StepBatch

BUCKETS = (1, 2, 4, 8, 16, 32, 64)
# A row that needs fewer evaluations than its graph has stands still for the rest: few graphs serve every request.
EVALUATIONS = (4, 9, 14, 19, 29, 39, MOST_EVALUATIONS)
USUAL_EVALUATIONS = 9  # of 10 timesteps, the default
_FIRST_RUNS = 2  # kernels are loaded, libraries choose theirs and reserve memory

Progress = Callable[[int, int], None]  # graphs recorded, and to be recorded


def buckets_up_to(rows: int) -> tuple[int, ...]:
    """The batch sizes that are recorded; the largest is what a step may have."""
    return (*(size for size in BUCKETS if size < rows), rows)


def least(sizes: Sequence[int], needed: int) -> int:
    """The smallest that suffices."""
    return next(size for size in sizes if size >= needed)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """Where a step finds what it is given."""

    index: Tensor  # [bucket] int64, seats
    noise: Tensor  # [bucket, patch_size, feat_dim], in the model's dtype
    empty: Tensor  # [bucket] int64, the seats that fill up a batch

    @classmethod
    def of(cls, runner: ModelRunner, bucket: int) -> StepInputs:
        """For so many rows, all of them empty."""
        config, first = runner.model.config, runner.config.slots
        empty = torch.arange(first, first + bucket, device=runner.device)
        noise = torch.zeros(bucket, config.patch_size, config.feat_dim, device=runner.device, dtype=runner.model.dtype)
        return cls(empty.clone(), noise, empty)

    def fill(self, rows: StepBatch, noise: Tensor) -> None:
        """Rows first, empty seats behind them."""
        count = len(rows.slots)
        self.index[:count].copy_(rows.index)
        self.index[count:].copy_(self.empty[count:])
        self.noise[:count].copy_(noise)


class StepGraphs:
    """Takes steps in place of `Speaker.take_step`."""

    def __init__(self, runner: ModelRunner, *, is_recording: bool | None = None) -> None:
        """Steps are recorded wherever there is CUDA, unless told otherwise."""
        self._runner = runner
        self._buckets = buckets_up_to(runner.config.rows)
        self._inputs = {bucket: StepInputs.of(runner, bucket) for bucket in self._buckets}
        self._graphs: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, PatchResult]] = {}
        self._is_recording = not runner.is_on_cpu if is_recording is None else is_recording
        self._settle_empty_slots()
        if self._is_recording:
            self._beside, self._recording = torch.cuda.Stream(), torch.cuda.Stream()
            self._memory = torch.cuda.graph_pool_handle()

    def __call__(self, rows: StepBatch, noise: Tensor) -> PatchResult:
        """The next patch of these rows; its tensors are overwritten by the next call."""
        bucket = least(self._buckets, len(rows.slots))
        evaluations = least(EVALUATIONS, rows.evaluations)
        self._inputs[bucket].fill(rows, noise)
        if not self._is_recording:
            made = self._take(self._padded(rows, bucket, evaluations), bucket)
        else:
            graph, made = self._graph(bucket, evaluations)
            graph.replay()
        return made.first(len(rows.slots))

    @torch.inference_mode()
    def warm_up(self, progress: Progress = lambda *_: None, evaluations: Sequence[int] = (USUAL_EVALUATIONS,)) -> None:
        """Record what is usual, the largest first, because the others fit into its memory."""
        todo = [(bucket, each) for bucket in reversed(self._buckets) for each in evaluations]
        for done, (bucket, each) in enumerate(todo, start=1):
            if not self._is_recording:
                self._take(self._padded(StepBatch(self._inputs[bucket].empty, (), (), each), bucket, each), bucket)
            else:
                self._graph(bucket, each)
            progress(done, len(todo))

    @torch.inference_mode()
    def _settle_empty_slots(self) -> None:
        """They take steps as others do, and so must hold numbers; their KV position is already theirs."""
        runner, guidance = self._runner, self._runner.network.feat_decoder.guidance(2, 1.0)
        silence = torch.zeros_like(self._inputs[self._buckets[-1]].noise[0])  # [patch_size, feat_dim]
        for slot in range(runner.config.slots, runner.config.slots + runner.config.rows):
            runner.slot_states.begin(slot, runner.empty_position(slot), silence, guidance)
            runner.codec_states.reset(slot)

    def _graph(self, bucket: int, evaluations: int) -> tuple[torch.cuda.CUDAGraph, PatchResult]:
        key = (bucket, evaluations)
        if key not in self._graphs:
            self._graphs[key] = self._recorded(bucket, evaluations)
        return self._graphs[key]

    def _recorded(self, bucket: int, evaluations: int) -> tuple[torch.cuda.CUDAGraph, PatchResult]:
        """Run it first on empty seats, so that nobody's state moves; recording runs nothing."""
        inputs = self._inputs[bucket]
        given = (inputs.index.clone(), inputs.noise.clone())
        inputs.index.copy_(inputs.empty)
        rows = StepBatch(inputs.index, tuple(range(bucket)), (), evaluations)
        self._recording.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._recording):
            for _ in range(_FIRST_RUNS):
                self._take(rows, bucket)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory, stream=self._recording, capture_error_mode="thread_local"):
            made = self._take(rows, bucket)
        inputs.index.copy_(given[0])
        inputs.noise.copy_(given[1])
        return graph, made

    def _take(self, rows: StepBatch, bucket: int) -> PatchResult:
        """The step, its codec on a second stream from where the patch is known to the end."""
        runner = self._runner
        states = runner.slot_states.gather(rows)
        noise = self._inputs[bucket].noise
        latents = runner.network.sample_patch(noise, states.previous, states.hidden, states.guidance)
        try:
            with self._fork():
                samples = runner.decode_audio(rows, latents)  # [bucket, patch_samples]
            next_is_last = runner.lm_step(rows, states, latents)
        finally:  # a recording that ends with a loose stream tells of that, and not of the memory that ran out
            self._join()
        return PatchResult(latents.float(), samples, states.next_is_last, next_is_last)

    def _fork(self) -> AbstractContextManager[object]:
        if not self._is_recording:
            return nullcontext()
        self._beside.wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self._beside)

    def _join(self) -> None:
        if self._is_recording:
            torch.cuda.current_stream().wait_stream(self._beside)

    def _padded(self, rows: StepBatch, bucket: int, evaluations: int) -> StepBatch:
        """What the host knows of a filled-up batch, which kernels read on the device."""
        config, count = self._runner.config, len(rows.slots)
        empty = range(count, bucket)
        return StepBatch(
            self._inputs[bucket].index,
            (*rows.slots, *(config.slots + each for each in empty)),
            (*rows.extents, *((config.positions + each, 0) for each in empty)),
            evaluations,
        )
