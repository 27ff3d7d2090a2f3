"""StepGraphs on a CPU: padded batches, static inputs, the fork; and a whole model fused."""

from typing import Any

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.cuda.graphs import EVALUATIONS, StepGraphs, buckets_up_to, smallest_fitting
from voxfleet_inference.model.cuda.kernels import attention
from voxfleet_inference.model.cuda.optimize import capture_steps, fuse_transformers, optimize_model
from voxfleet_inference.model.cuda.shapes import tiny_sizes
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvLayer, grouped_attention
from voxfleet_inference.model.random_weights.random_model import random_model
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.runner.slot_states import MAX_EVALUATIONS
from voxfleet_inference.model.voxcpm import VoxCPM

CPU = torch.device("cpu")
CONFIG = RunnerConfig(slots=5, positions=200, rows=4)
PREFILLED = 3  # slots with a sequence; the tensors of the others are not initialized
SLOTS_OF_STEPS = ([0], [0, 1, 2], [1, 2], [2, 0, 1])


def model(dtype: torch.dtype = torch.float32) -> VoxCPM:
    return random_model(tiny_sizes(), CPU, dtype)


def prefilled_runner(model: VoxCPM, timesteps: tuple[int, ...] = (4, 10, 3)) -> ModelRunner:
    """Three sentences of different texts, voices, timesteps and guidance."""
    runner = ModelRunner(model, CONFIG)
    voice = torch.randn(3, 4, 64, generator=torch.Generator().manual_seed(1))
    prompts = (Prompt([300, 301, 302]), Prompt([303] * 9, voice), Prompt([304, 305]))
    assert len(prompts) == PREFILLED
    for slot, (prompt, points) in enumerate(zip(prompts, timesteps, strict=True)):
        runner.admit(slot, 40 * slot, 40, prompt, DecodingSettings(points, 1.5 + slot))
        runner.prefill(slot, prompt.positions)
    return runner


def steps(runner: ModelRunner) -> list[PatchResult]:
    """Step changing rows; each result is copied at once, because the next replay overwrites it."""
    random = torch.Generator().manual_seed(2)
    made = []
    for slots in SLOTS_OF_STEPS:
        result = runner.step(slots, torch.randn(len(slots), 4, 64, generator=random))
        made.append(PatchResult(*(getattr(result, name).clone() for name in PatchResult.__slots__)))
    return made


def farthest(ours: list[PatchResult], theirs: list[PatchResult], name: str) -> float:
    pairs: list[tuple[Tensor, Tensor]] = [
        (getattr(a, name), getattr(b, name)) for a, b in zip(ours, theirs, strict=True)
    ]
    return max((a - b).abs().max().item() for a, b in pairs)


def test_fused_padded_and_forked_steps_equal_plain_ones() -> None:
    theirs = steps(prefilled_runner(model()))
    fused = model()
    fuse_transformers(fused.network)
    runner = prefilled_runner(fused)
    before, counted = runner.slot_states.hidden_base.clone(), []
    capture_steps(runner, lambda done, of: counted.append((done, of)))
    assert torch.equal(runner.slot_states.hidden_base[:PREFILLED], before[:PREFILLED])  # unchanged by the captures
    assert counted == [(1, 3), (2, 3), (3, 3)]
    ours = steps(runner)
    assert farthest(ours, theirs, "latents") < 1e-4
    assert farthest(ours, theirs, "samples") < 1e-4
    assert [len(each.samples) for each in ours] == [1, 3, 2, 3]
    assert theirs[0].samples.abs().max() > 0.01


def attend_by_device(
    layer: KvLayer, metadata: AttentionMetadata, queries: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """As the kernel does: lengths are read from the device's tensors, not from the host's metadata."""
    layer.store(metadata, keys, values)
    everywhere = torch.arange(40)
    kv_indices = (metadata.first[:, None] + everywhere).clamp(max=len(layer.keys) - 1)  # [rows, 40]
    return grouped_attention(
        queries, layer.keys[kv_indices], layer.values[kv_indices], everywhere <= metadata.positions[..., None]
    )


def test_a_replayed_step_equals_the_plain_step(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds of changing rows: sequences have grown when a graph is replayed for them again."""
    monkeypatch.setattr(attention, "attend_padded", attend_by_device)
    plain, fused = prefilled_runner(model(), (4, 5, 3)), model()
    fuse_transformers(fused.network)
    runner = prefilled_runner(fused, (4, 5, 3))
    runner.is_on_cpu = False  # as on a GPU
    graphs = StepGraphs(runner, uses_graphs=True)
    graphs.warm_up(evaluations=(4,))
    fork, join = ("stream 1", "current"), ("current", "stream 1")  # the codec beside the language models
    assert recording.waits[-7:] == [("stream 2", "current"), *(3 * [fork, join])]  # twice before, once recorded
    runner.step_fn = graphs
    for _ in range(2):
        theirs, ours = steps(plain), steps(runner)
        assert farthest(ours, theirs, "latents") < 1e-4
        assert farthest(ours, theirs, "samples") < 1e-4
        assert all(torch.equal(a.next_is_last, b.next_is_last) for a, b in zip(ours, theirs, strict=True))
    assert sorted((key, graph.replays) for key, (graph, _) in graphs._graphs.items()) == [
        ((1, 4), 2),
        ((2, 4), 2),
        ((4, 4), 4),
    ]


@pytest.mark.parametrize("fused_max_rows", [0, 1000], ids=["eight", "five"])
def test_bfloat16_is_no_further_from_float32_than_the_plain_model(fused_max_rows: int) -> None:
    """One step from the same state: later steps differ by quantizer codes that were rounded to different sides."""
    exact = model()
    rounded = [model(torch.bfloat16), model(torch.bfloat16)]
    for a, b in zip(exact.network.parameters(), rounded[0].network.parameters(), strict=True):
        a.data.copy_(b.data)
    fuse_transformers(rounded[1].network, fused_max_rows)
    expected, theirs, ours = (steps(prefilled_runner(each))[0].latents for each in (exact, *rounded))
    assert 0 < (ours - expected).norm() < 1.2 * (theirs - expected).norm()


def test_a_step_overwrites_its_inputs_and_pads_the_batch() -> None:
    runner = prefilled_runner(model())
    graphs = StepGraphs(runner)
    runner.step_fn = graphs
    runner.step([0, 1, 2], torch.ones(3, 4, 64))
    inputs = graphs._inputs[4]
    assert inputs.slot_indices.tolist() == [0, 1, 2, 8]
    assert inputs.noise[:3].unique().tolist() == [1.0]
    runner.step([3 - 1], torch.zeros(1, 4, 64))
    assert graphs._inputs[1].slot_indices.tolist() == [2]


@pytest.mark.parametrize(
    ("rows", "buckets"), [(1, (1,)), (3, (1, 2, 3)), (32, (1, 2, 4, 8, 16, 32)), (48, (1, 2, 4, 8, 16, 32, 48))]
)
def test_buckets_end_with_the_most_rows(rows: int, buckets: tuple[int, ...]) -> None:
    assert buckets_up_to(rows) == buckets


def test_every_number_of_evaluations_has_a_graph() -> None:
    assert EVALUATIONS[-1] == MAX_EVALUATIONS
    assert [smallest_fitting(EVALUATIONS, needed) for needed in (1, 9, 10, 47)] == [4, 9, 14, 47]


def test_optimizing_a_model_frees_the_plain_weights() -> None:
    plain = model()
    expected = sum(weight.numel() for weight in plain.network.base_lm.parameters())
    fused = optimize_model(plain, "fp32").network.base_lm
    joined = sum(each.numel() for layer in fused.fused for each in vars(layer).values() if isinstance(each, Tensor))
    assert joined + sum(weight.numel() for weight in fused.parameters()) == expected
