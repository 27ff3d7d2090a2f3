"""Steps, rows and room: what an engine relies on beyond the numbers being right."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from voxfleet_inference.model.flow_matching import Guidance, Schedule
from voxfleet_inference.model.kv_cache import (
    Attend,
    AttentionMetadata,
    ExtentFullError,
    KvCache,
    attend_padded,
    attend_rows,
)
from voxfleet_inference.model.runner.decoding import DecodingSettings, PatchResult, Prompt, maximum_steps
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM

Model = Callable[[str, bool], VoxCPM]
CPU = torch.device("cpu")


@given(tokens=st.integers(0, 10_000), limit=st.integers(1, 9000))
def test_maximum_steps_is_the_references_clamp(tokens: int, limit: int) -> None:
    assert maximum_steps(tokens, limit) == min(int(6 * tokens + 10), limit)


def test_maximum_steps_defaults_to_the_published_limit() -> None:
    assert (maximum_steps(0), maximum_steps(20), maximum_steps(5000)) == (10, 130, 4096)


def test_a_prompt_counts_its_text_its_start_token_and_its_patches() -> None:
    assert Prompt([1, 2, 3]).positions == 4
    assert Prompt([1, 2, 3], torch.zeros(5, 4, 64)).positions == 9


def assigned(model: VoxCPM, token_ids: list[int], timesteps: int, steps: int) -> ModelRunner:
    """A speaker whose only seat has read its prompt."""
    prompt = Prompt(token_ids)
    runner = ModelRunner(model, RunnerConfig(slots=1, positions=prompt.positions + steps))
    runner.admit(0, 0, prompt.positions + steps, prompt, DecodingSettings(timesteps))
    runner.prefill(0, prompt.positions)
    return runner


def test_the_last_patch_is_announced_one_step_ahead(ours: Model, tape: Callable[[VoxCPM], Tensor]) -> None:
    model = ours("tiny", False)
    runner = assigned(model, model.tokenizer.encode("hello"), 2, steps=40)
    results: list[PatchResult] = []
    announced = False
    while not results or not results[-1].is_last.item():
        results.append(runner.step([0], tape(model)[len(results)][None]))
        assert results[-1].is_last.item() == announced
        announced = bool(results[-1].next_is_last.item())
    assert 4 <= len(results) < 40


def test_more_steps_than_reserved_are_refused(ours: Model) -> None:
    runner = assigned(ours("tiny", False), [110], 1, steps=2)
    noise = torch.zeros(1, 4, 64)
    for _ in range(2):
        runner.step([0], noise)
    with pytest.raises(ExtentFullError, match="has 4 KV positions, 4 are filled"):
        runner.step([0], noise)


def test_more_timesteps_than_a_seat_has_room_for_are_refused(ours: Model) -> None:
    with pytest.raises(ValueError, match="inference_timesteps 60: at most 49"):
        assigned(ours("tiny", False), [110], 60, steps=2)


@torch.inference_mode()
@pytest.mark.parametrize("attend", [attend_rows, attend_padded])
@pytest.mark.parametrize("tokens", [1, 3])
def test_rows_of_different_lengths_share_an_arena_and_do_not_see_each_other(
    tokens: int, attend: Attend, ours: Model
) -> None:
    """Two rows, 5 and 9 positions long, continued together: each as if alone, whatever lies around them."""
    model = ours("1.5", True)
    lm, shape = model.network.base_lm, model.config.base_lm
    embedded = torch.randn(2, 15, shape.hidden, generator=torch.Generator().manual_seed(1))
    lengths, firsts = (5, 9), (17, 2)
    together = KvCache(shape, 33, CPU, torch.float32, attend)
    together.keys.fill_(1e4)  # of neighbours, and never to be seen
    together.values.fill_(1e4)
    expected = []
    for row, (length, first) in enumerate(zip(lengths, firsts, strict=True)):
        whole = lm(
            embedded[row : row + 1, : length + tokens],
            KvCache(shape, 15, CPU, torch.float32),
            metadata((0, 0), length + tokens),
        )
        expected.append(whole[:, length:])
        lm(embedded[row : row + 1, :length], together, metadata((first, 0), length))
    inputs = torch.stack([embedded[row, length : length + tokens] for row, length in enumerate(lengths)])
    extents = tuple(zip(firsts, lengths, strict=True))
    both = AttentionMetadata.after(torch.tensor(firsts), torch.tensor(lengths), tokens, extents)
    torch.testing.assert_close(lm(inputs, together, both), torch.cat(expected))


def metadata(extent: tuple[int, int], tokens: int) -> AttentionMetadata:
    """The next positions of one row, whose extent is told as first position and length."""
    first, length = extent
    return AttentionMetadata.after(torch.tensor([first]), torch.tensor([length]), tokens, (extent,))


@torch.inference_mode()
@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [3, 1, 8]])
@pytest.mark.parametrize("version", ["1.5", "0.5b"])
def test_a_prompt_read_in_pieces_leaves_the_same_state(sizes: list[int], version: str, ours: Model) -> None:
    """Six tokens, the start token, five patches of a voice: wherever a piece ends."""
    model = ours(version, True)
    latents = torch.randn(5, model.config.patch_size, 64, generator=torch.Generator().manual_seed(2))
    prompt = Prompt([110, 120, 130, 140, 150, 160], latents)
    runner = ModelRunner(model, RunnerConfig(slots=2, positions=26))
    for slot, pieces in enumerate(([12], sizes)):
        runner.admit(slot, 13 * slot, 13, prompt, DecodingSettings(10))
        for piece in pieces:
            runner.prefill(slot, piece)
    for pool in (runner.slot_states.hidden_base, runner.slot_states.hidden_residual, runner.codec_states.flat):
        torch.testing.assert_close(pool[1], pool[0], atol=1e-4, rtol=0)
    for cache in (runner.kv_caches.base, runner.kv_caches.residual):
        torch.testing.assert_close(cache.keys[:, 13:25], cache.keys[:, :12], atol=1e-4, rtol=0)
        torch.testing.assert_close(cache.values[:, 13:25], cache.values[:, :12], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_rows_of_different_settings_share_a_solver(ours: Model) -> None:
    """n = 2 beside n = 10, cfg 1.5 beside 3: the shorter schedule ends early with step size 0."""
    model = ours("1.5", True)
    solver = model.network.feat_decoder
    noise, condition, previous = (
        torch.randn(size, generator=torch.Generator().manual_seed(3)) for size in ((2, 4, 64), (2, 64), (2, 4, 64))
    )
    single = [solver.guidance(2, 1.5), solver.guidance(10, 3.0)]
    longest = max(guidance.step_sizes.shape[1] for guidance in single)
    together = Guidance(
        torch.cat([pad(guidance.time_vectors, longest) for guidance in single]),
        torch.cat([pad(guidance.step_sizes, longest) for guidance in single]),
        torch.cat([guidance.cfg_values for guidance in single]),
    )
    patches = solver(noise, condition, previous, together)
    for row, guidance in enumerate(single):
        here = slice(row, row + 1)
        torch.testing.assert_close(patches[here], solver(noise[here], condition[here], previous[here], guidance))


def pad(table: Tensor, evaluations: int) -> Tensor:
    """Zeros for the evaluations that a row does not make: [rows, evaluations, ...]."""
    missing = table.new_zeros(table.shape[0], evaluations - table.shape[1], *table.shape[2:])
    return torch.cat((table, missing), dim=1)


@pytest.mark.parametrize(("timesteps", "evaluations"), [(1, 0), (2, 1), (10, 9), (40, 39), (48, 47), (49, 47)])
def test_the_first_points_of_a_schedule_stand_still(timesteps: int, evaluations: int) -> None:
    schedule = Schedule.of(timesteps, CPU, torch.float32)
    assert schedule.times.shape == schedule.step_sizes.shape == (evaluations,)


def test_one_timestep_gives_the_noise_itself(ours: Model) -> None:
    noise = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(4))
    assert torch.equal(assigned(ours("tiny", False), [110], 1, steps=1).step([0], noise).latents, noise)
