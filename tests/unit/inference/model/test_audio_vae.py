"""The codec: pieces equal the whole, both equal the reference's encode and decode, layers equal their definitions."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from voxfleet_inference.model.audio_vae import CausalConv, CausalUpsampling, Snake
from voxfleet_inference.model.runner.slot_states import CodecStates, StepBatch
from voxfleet_inference.model.voxcpm import VoxCPM

Model = Callable[[str, bool], VoxCPM]
FRAMES_PER_SECOND = 25


def frames(count: int, rows: int = 1) -> Tensor:
    return torch.randn(rows, 64, count, generator=torch.Generator().manual_seed(count))


@torch.inference_mode()
def in_pieces(model: VoxCPM, whole: Tensor, sizes: list[int]) -> Tensor:
    memory = model.vae.decoder.initial_state(len(whole))
    return torch.cat([model.vae.decode(piece, memory) for piece in torch.split(whole, sizes, dim=-1)], dim=-1)


@pytest.mark.parametrize("version", ["1.5", "0.5b"])
def test_sixty_seconds_in_changing_batches_equal_the_references_full_decode(
    version: str, ours: Model, reference: Callable[..., Any]
) -> None:
    """Three slots keep their decoder states in one tensor; two have gaps while the first decodes for a minute."""
    model = ours(version, True)
    patch = model.config.patch_size
    whole = [frames(60 * FRAMES_PER_SECOND), frames(60 * patch), frames(20 * patch)]
    with torch.inference_mode():
        theirs = [reference(version, True).model.audio_vae.decode(each)[0, 0] for each in whole]
        mine = decode_in_slots(model, whole)
    for made, expected in zip(mine, theirs, strict=True):
        assert made.shape == expected.shape
        torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def decode_in_slots(model: VoxCPM, whole: list[Tensor]) -> list[Tensor]:
    """Patch by patch: slot 0 takes every step, slot 1 every second one, slot 2 every third."""
    pool = CodecStates(model.vae.decoder.initial_state(1), len(whole))
    for slot in range(len(whole)):
        pool.reset(slot)
    pieces = [list(torch.split(each, model.config.patch_size, dim=-1)) for each in whole]
    made: list[list[Tensor]] = [[] for _ in whole]
    for step in range(len(pieces[0])):
        slots = tuple(slot for slot in (2, 0, 1) if step % (slot + 1) == 0 and len(made[slot]) < len(pieces[slot]))
        rows = StepBatch(torch.tensor(slots), slots, extents=(), evaluations=0)
        memories, memory = pool.gather(rows)
        samples = model.vae.decode(torch.cat([pieces[slot][len(made[slot])] for slot in slots]), memory)
        pool.scatter(rows, memories)
        for row, slot in enumerate(slots):
            made[slot].append(samples[row])
    return [torch.cat(each) for each in made]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_any_pieces_equal_the_whole(sizes: list[int], ours: Model) -> None:
    model = ours("1.5", True)
    whole = frames(sum(sizes), rows=2)
    torch.testing.assert_close(in_pieces(model, whole, sizes), in_pieces(model, whole, [sum(sizes)]), atol=1e-5, rtol=0)


def test_streams_in_one_batch_are_independent(ours: Model) -> None:
    model = ours("1.5", True)
    whole = frames(12, rows=3)
    together = in_pieces(model, whole, [4, 4, 4])
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], in_pieces(model, whole[row : row + 1], [4] * 3))


def test_no_click_between_patches(ours: Model) -> None:
    """A decoder without state between patches is far off at their borders."""
    model = ours("1.5", True)
    whole = frames(8)
    forgetful = torch.cat([in_pieces(model, half, [4]) for half in torch.split(whole, 4, dim=-1)], dim=-1)
    assert (forgetful - in_pieces(model, whole, [4, 4])).abs().max() > 0.01


@pytest.mark.parametrize("version", ["1.5", "0.5b"])
@pytest.mark.parametrize("samples", [1, 7055, 7056, 7057, 30_000])
def test_prompt_audio_is_padded_on_the_left_and_encoded_as_the_reference_does(
    version: str, samples: int, ours: Model, reference: Callable[..., Any]
) -> None:
    model, public = ours(version, True), reference(version, True).model
    sound = 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    padded = functional.pad(sound, (-samples % model.patch_samples, 0))
    with torch.inference_mode():
        frames_theirs = public.audio_vae.encode(padded[None], model.config.sample_rate)
    theirs = frames_theirs.view(64, -1, model.config.patch_size).permute(1, 2, 0)
    mine = model.encode_prompt_audio(sound)
    assert mine.shape == theirs.shape == (len(padded) // model.patch_samples, model.config.patch_size, 64)
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=0)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(stride=st.integers(1, 9), frames=st.integers(1, 6), inputs=st.integers(1, 5), outputs=st.integers(1, 4))
def test_upsampling_is_a_transposed_convolution_without_its_tail(
    stride: int, frames: int, inputs: int, outputs: int
) -> None:
    part = CausalUpsampling(inputs, outputs, stride)
    weight, bias, x = normal(inputs, outputs, 2 * stride), normal(outputs, seed=1), normal(2, inputs, frames, seed=2)
    part.weight, part.bias = nn.Parameter(weight), nn.Parameter(bias)
    part.pack()
    expected = functional.conv_transpose1d(x, weight, bias, stride=stride)[..., :-stride]
    torch.testing.assert_close(part(x), expected)


@settings(max_examples=40, deadline=None)
@given(kernel=st.integers(1, 7), dilation=st.integers(1, 9), before=st.integers(1, 20))
def test_a_causal_convolution_does_not_depend_on_later_samples(kernel: int, dilation: int, before: int) -> None:
    part = CausalConv(3, 2, kernel, dilation=dilation)
    part.weight, part.bias = nn.Parameter(normal(2, 3, kernel)), nn.Parameter(normal(2))
    sound = normal(1, 3, before + 5)
    changed = torch.cat((sound[..., :before], normal(1, 3, 5, seed=9)), dim=-1)
    torch.testing.assert_close(part(sound)[..., :before], part(changed)[..., :before])


def test_snake_is_its_formula() -> None:
    part = Snake(4)
    part.alpha = nn.Parameter(normal(1, 4, 1).abs() + 0.5)
    x = normal(2, 4, 50)
    torch.testing.assert_close(part(x), x + torch.sin(part.alpha * x) ** 2 / part.alpha)
