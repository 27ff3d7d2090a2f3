"""Whole steps captured as CUDA graphs: one launch instead of a thousand, with the codec on a second stream.

Knows: batch-size buckets, padding, and what a capture needs: tensors at fixed addresses, and warm-up runs before it.
Does not know: what a step computes. On a CPU the same class runs the step directly, on the same padded batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from voxfleet_inference.model.runner.decoding import PatchResult
from voxfleet_inference.model.runner.model_runner import ModelRunner
from voxfleet_inference.model.runner.slot_states import MAX_EVALUATIONS, StepBatch

BUCKETS = (1, 2, 4, 8, 16, 32, 64)  # batch sizes
# A row with fewer evaluations than its graph has step size 0 for the rest, so a few graphs serve every setting.
EVALUATIONS = (4, 9, 14, 19, 29, 39, MAX_EVALUATIONS)
DEFAULT_EVALUATIONS = 9  # of 10 timesteps, the default
_WARM_UP_RUNS = 2  # before a capture: kernels are loaded, libraries select algorithms and allocate workspaces

Progress = Callable[[int, int], None]  # graphs captured so far, and in total


def buckets_up_to(rows: int) -> tuple[int, ...]:
    """Return the batch sizes that are captured, up to `rows`, the largest batch of a step."""
    return (*(size for size in BUCKETS if size < rows), rows)


def smallest_fitting(sizes: Sequence[int], needed: int) -> int:
    """Return the first of the ascending sizes that is at least `needed`."""
    return next(size for size in sizes if size >= needed)


@dataclass(frozen=True, slots=True)
class StepInputs:
    """The inputs of a captured step, at fixed addresses."""

    slot_indices: Tensor  # [bucket] int64
    noise: Tensor  # [bucket, patch_size, feat_dim], in the model's dtype
    padding: Tensor  # [bucket] int64, the padding slots

    @classmethod
    def of(cls, runner: ModelRunner, bucket: int) -> StepInputs:
        """Allocate inputs for `bucket` rows, all of them padding."""
        config, first = runner.model.config, runner.config.slots
        padding = torch.arange(first, first + bucket, device=runner.device)
        noise = torch.zeros(bucket, config.patch_size, config.feat_dim, device=runner.device, dtype=runner.model.dtype)
        return cls(padding.clone(), noise, padding)

    def fill(self, batch: StepBatch, noise: Tensor) -> None:
        """Copy the rows of a batch to the front, and fill up with padding slots."""
        count = len(batch.slots)
        self.slot_indices[:count].copy_(batch.slot_indices)
        self.slot_indices[count:].copy_(self.padding[count:])
        self.noise[:count].copy_(noise)


class StepGraphs:
    """A `step_fn` for ModelRunner that pads a batch to a bucket and replays its graph."""

    def __init__(self, runner: ModelRunner, *, uses_graphs: bool | None = None) -> None:
        """Allocate inputs and padding slots; `uses_graphs` defaults to whether the runner is on a GPU."""
        self._runner = runner
        self._buckets = buckets_up_to(runner.config.rows)
        self._inputs = {bucket: StepInputs.of(runner, bucket) for bucket in self._buckets}
        self._graphs: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, PatchResult]] = {}
        self._uses_graphs = not runner.is_on_cpu if uses_graphs is None else uses_graphs
        self._initialize_padding_slots()
        if self._uses_graphs:
            self._codec_stream, self._capture_stream = torch.cuda.Stream(), torch.cuda.Stream()
            self._memory_pool = torch.cuda.graph_pool_handle()

    def __call__(self, batch: StepBatch, noise: Tensor) -> PatchResult:
        """Compute the next patches of a batch; the next call overwrites the result's tensors."""
        bucket = smallest_fitting(self._buckets, len(batch.slots))
        evaluations = smallest_fitting(EVALUATIONS, batch.evaluations)
        self._inputs[bucket].fill(batch, noise)
        if not self._uses_graphs:
            result = self._run_step(self._padded_batch(batch, bucket, evaluations), bucket)
        else:
            graph, result = self._graph_for(bucket, evaluations)
            graph.replay()
        return result.first(len(batch.slots))

    @torch.inference_mode()
    def warm_up(
        self, progress: Progress = lambda *_: None, evaluations: Sequence[int] = (DEFAULT_EVALUATIONS,)
    ) -> None:
        """Capture all buckets for the default timesteps, the largest first: the others fit into its memory pool."""
        todo = [(bucket, each) for bucket in reversed(self._buckets) for each in evaluations]
        for done, (bucket, each) in enumerate(todo, start=1):
            if not self._uses_graphs:
                padding = StepBatch(self._inputs[bucket].padding, (), (), each)
                self._run_step(self._padded_batch(padding, bucket, each), bucket)
            else:
                self._graph_for(bucket, each)
            progress(done, len(todo))

    @torch.inference_mode()
    def _initialize_padding_slots(self) -> None:
        """Reset the padding slots: their rows are computed like any other, so uninitialized values could be NaN."""
        runner, guidance = self._runner, self._runner.network.feat_decoder.guidance(2, 1.0)
        silence = torch.zeros_like(self._inputs[self._buckets[-1]].noise[0])  # [patch_size, feat_dim]
        for slot in range(runner.config.slots, runner.config.slots + runner.config.rows):
            runner.slot_states.assign(slot, runner.padding_position(slot), silence, guidance)
            runner.codec_states.reset(slot)

    def _graph_for(self, bucket: int, evaluations: int) -> tuple[torch.cuda.CUDAGraph, PatchResult]:
        key = (bucket, evaluations)
        if key not in self._graphs:
            self._graphs[key] = self._capture(bucket, evaluations)
        return self._graphs[key]

    def _capture(self, bucket: int, evaluations: int) -> tuple[torch.cuda.CUDAGraph, PatchResult]:
        """Warm up and capture a step; the warm-up runs on padding slots, so that no sequence's state changes."""
        inputs = self._inputs[bucket]
        before = (inputs.slot_indices.clone(), inputs.noise.clone())  # a capture may be needed in the middle of a step
        inputs.slot_indices.copy_(inputs.padding)
        batch = StepBatch(inputs.slot_indices, tuple(range(bucket)), (), evaluations)
        self._capture_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._capture_stream):
            for _ in range(_WARM_UP_RUNS):
                self._run_step(batch, bucket)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Thread-local, so that calls of other threads, such as encoding a voice, do not invalidate the capture.
        with torch.cuda.graph(
            graph, pool=self._memory_pool, stream=self._capture_stream, capture_error_mode="thread_local"
        ):
            result = self._run_step(batch, bucket)
        inputs.slot_indices.copy_(before[0])
        inputs.noise.copy_(before[1])
        return graph, result

    def _run_step(self, batch: StepBatch, bucket: int) -> PatchResult:
        """Compute a step; once the patch is known, the codec runs on its own stream next to the language models."""
        runner = self._runner
        states = runner.slot_states.gather(batch)
        noise = self._inputs[bucket].noise  # [bucket, patch_size, feat_dim]
        latents = runner.network.sample_patch(noise, states.previous, states.hidden, states.guidance)
        try:
            with self._fork():
                samples = runner.decode_audio(batch, latents)  # [bucket, patch_samples]
            next_is_last = runner.lm_step(batch, states, latents)
        finally:  # join the stream on error too, or the capture reports the unjoined stream instead of the error
            self._join()
        return PatchResult(latents.float(), samples, states.next_is_last, next_is_last)

    def _fork(self) -> AbstractContextManager[object]:
        if not self._uses_graphs:
            return nullcontext()
        self._codec_stream.wait_stream(torch.cuda.current_stream())
        return torch.cuda.stream(self._codec_stream)

    def _join(self) -> None:
        if self._uses_graphs:
            torch.cuda.current_stream().wait_stream(self._codec_stream)

    def _padded_batch(self, batch: StepBatch, bucket: int, evaluations: int) -> StepBatch:
        """Pad the host's copy of the metadata, which plain attention reads; kernels read the device's."""
        config, count = self._runner.config, len(batch.slots)
        padding = range(count, bucket)
        return StepBatch(
            self._inputs[bucket].slot_indices,
            (*batch.slots, *(config.slots + each for each in padding)),
            (*batch.extents, *((config.positions + each, 0) for each in padding)),
            evaluations,
        )
