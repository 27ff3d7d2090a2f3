"""Steps, rows and room: what an engine relies on beyond the numbers being right."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from voxfleet_inference.model.decoding import DecodingSettings, PatchResult, Prompt, maximum_steps
from voxfleet_inference.model.flow_matching import Guidance, Schedule
from voxfleet_inference.model.kv_cache import KvCache, KvCacheFullError
from voxfleet_inference.model.voxcpm import PromptTooLongError, VoxCPM

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


def test_the_last_patch_is_announced_one_step_ahead(ours: Model, tape: Callable[[VoxCPM], Tensor]) -> None:
    model = ours("tiny", False)
    decoding = model.prefill(Prompt(model.tokenizer.encode("hello")), DecodingSettings(2), steps=40)
    assert not decoding.next_is_last.item()
    results: list[PatchResult] = []
    while not results or not results[-1].is_last.item():
        announced = decoding.next_is_last.item()
        results.append(model.step(decoding, tape(model)[len(results)][None]))
        assert results[-1].is_last.item() == announced
        assert results[-1].next_is_last.item() == decoding.next_is_last.item()
    assert 4 <= len(results) < 40


def test_what_never_fits_is_refused_before_any_work(ours: Model) -> None:
    model = ours("tiny", False)
    with pytest.raises(PromptTooLongError, match=r"101 positions and up to 4000 steps.*4096"):
        model.prefill(Prompt([110] * 100), DecodingSettings(), steps=4000)


def test_more_steps_than_reserved_are_refused(ours: Model) -> None:
    model = ours("tiny", False)
    decoding = model.prefill(Prompt([110]), DecodingSettings(1), steps=2)
    noise = torch.zeros(1, 4, 64)
    for _ in range(2):
        model.step(decoding, noise)
    with pytest.raises(KvCacheFullError, match="holds 4 positions, 4 are filled"):
        model.step(decoding, noise)


def test_memory_follows_the_sentence_and_not_the_models_limit(ours: Model) -> None:
    decoding = ours("tiny", False).prefill(Prompt([110] * 9), DecodingSettings(), steps=20)
    assert decoding.caches.base.capacity == decoding.caches.residual.capacity == 30


@torch.inference_mode()
def test_rows_of_different_lengths_share_a_cache_and_do_not_see_each_other(ours: Model) -> None:
    """Two rows, 5 and 9 positions long, continued together: each as if alone."""
    model = ours("1.5", True)
    lm, shape = model.network.base_lm, model.config.base_lm
    embedded = torch.randn(2, 12, shape.hidden, generator=torch.Generator().manual_seed(1))
    lengths = (5, 9)
    alone = [KvCache(shape, 1, 12, CPU, torch.float32) for _ in lengths]
    shared = KvCache(shape, 2, 12, CPU, torch.float32)
    for row, length in enumerate(lengths):
        lm(embedded[row : row + 1, :length], alone[row])
        shared.keys[:, row], shared.values[:, row] = alone[row].keys[:, 0], alone[row].values[:, 0]
    shared.lengths, shared.longest = torch.tensor(lengths), max(lengths)
    for step in range(3):
        inputs = torch.stack([embedded[row, length + step] for row, length in enumerate(lengths)])[:, None]
        together = lm(inputs, shared)
        for row in range(2):
            torch.testing.assert_close(together[row : row + 1], lm(inputs[row : row + 1], alone[row]))


@torch.inference_mode()
@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 7], [3, 1, 8]])
def test_prefill_in_chunks_equals_prefill_at_once(sizes: list[int], ours: Model) -> None:
    model = ours("1.5", True)
    lm, shape = model.network.base_lm, model.config.base_lm
    embedded = torch.randn(1, 12, shape.hidden, generator=torch.Generator().manual_seed(2))
    whole = lm(embedded, KvCache(shape, 1, 12, CPU, torch.float32))
    cache = KvCache(shape, 1, 20, CPU, torch.float32)
    torch.testing.assert_close(
        torch.cat([lm(chunk, cache) for chunk in torch.split(embedded, sizes, dim=1)], dim=1), whole
    )


@torch.inference_mode()
def test_rows_of_different_settings_share_a_solver(ours: Model) -> None:
    """n = 2 beside n = 10, cfg 1.5 beside 3: the shorter schedule ends early with step size 0."""
    model = ours("1.5", True)
    solver = model.network.feat_decoder
    noise, hint, previous = (
        torch.randn(size, generator=torch.Generator().manual_seed(3)) for size in ((2, 4, 64), (2, 64), (2, 4, 64))
    )
    single = [solver.guidance(2, 1.5), solver.guidance(10, 3.0)]
    longest = max(guidance.step_sizes.shape[1] for guidance in single)
    together = Guidance(
        torch.cat([pad(guidance.time_vectors, longest) for guidance in single]),
        torch.cat([pad(guidance.step_sizes, longest) for guidance in single]),
        torch.cat([guidance.cfg_values for guidance in single]),
    )
    patches = solver(noise, hint, previous, together)
    for row, guidance in enumerate(single):
        here = slice(row, row + 1)
        torch.testing.assert_close(patches[here], solver(noise[here], hint[here], previous[here], guidance))


def pad(table: Tensor, evaluations: int) -> Tensor:
    """Zeros for the evaluations that a row does not make: [rows, evaluations, ...]."""
    missing = table.new_zeros(table.shape[0], evaluations - table.shape[1], *table.shape[2:])
    return torch.cat((table, missing), dim=1)


@pytest.mark.parametrize(("timesteps", "evaluations"), [(1, 0), (2, 1), (10, 9), (40, 39), (48, 47), (49, 47)])
def test_the_first_points_of_a_schedule_stand_still(timesteps: int, evaluations: int) -> None:
    schedule = Schedule.of(timesteps, CPU, torch.float32)
    assert schedule.times.shape == schedule.step_sizes.shape == (evaluations,)


def test_one_timestep_gives_the_noise_itself(ours: Model) -> None:
    model = ours("tiny", False)
    noise = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(4))
    decoding = model.prefill(Prompt([110]), DecodingSettings(1), steps=1)
    assert torch.equal(model.step(decoding, noise).latents, noise)
