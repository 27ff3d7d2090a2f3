"""The small pieces against their textbook definitions."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from voxfleet_inference.model.audio_vae import CausalConv, CausalUpsampling, Snake
from voxfleet_inference.model.config import RotaryShape
from voxfleet_inference.model.flow_matching import combine
from voxfleet_inference.model.kv_cache import grouped_attention
from voxfleet_inference.model.network import ScalarQuantizer
from voxfleet_inference.model.transformer import RotaryTable, rotate
from voxfleet_inference.model.weights import WeightFile

CPU = torch.device("cpu")


class Stored(WeightFile):
    """Tensors that need no file."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(Path("stored"))
        self.tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def read(self, name: str) -> Tensor:
        return self.tensors[name]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layer", [nn.Conv1d(6, 10, 7), nn.ConvTranspose1d(6, 10, 4), nn.Conv1d(8, 8, 7, groups=8)])
def test_weight_normalisation_folds_as_pytorch_computes_it(layer: nn.Module) -> None:
    normed = weight_norm(layer)
    parts = normed.state_dict()
    length, direction = parts["parametrizations.weight.original0"], parts["parametrizations.weight.original1"]
    folded = Stored({"w_g": length, "w_v": direction}).tensor("w", direction.shape)
    torch.testing.assert_close(folded, normed.weight.detach())


def test_a_folded_weight_is_preferred_to_its_parts() -> None:
    whole = random(3, 2, 5)
    assert Stored({"w": whole, "w_v": whole * 2, "w_g": whole[:, :1, :1]}).tensor("w", whole.shape) is whole


@settings(max_examples=40, deadline=None)
@given(stride=st.integers(1, 9), frames=st.integers(1, 6), inputs=st.integers(1, 5), outputs=st.integers(1, 4))
def test_upsampling_is_a_transposed_convolution_without_its_tail(
    stride: int, frames: int, inputs: int, outputs: int
) -> None:
    part = CausalUpsampling(inputs, outputs, stride)
    weight, bias, x = random(inputs, outputs, 2 * stride), random(outputs, seed=1), random(2, inputs, frames, seed=2)
    part.weight, part.bias = nn.Parameter(weight), nn.Parameter(bias)
    part.pack()
    expected = functional.conv_transpose1d(x, weight, bias, stride=stride)[..., :-stride]
    torch.testing.assert_close(part(x), expected)


@settings(max_examples=40, deadline=None)
@given(kernel=st.integers(1, 7), dilation=st.integers(1, 9), before=st.integers(1, 20))
def test_a_causal_convolution_hears_nothing_of_the_future(kernel: int, dilation: int, before: int) -> None:
    part = CausalConv(3, 2, kernel, dilation=dilation)
    part.weight, part.bias = nn.Parameter(random(2, 3, kernel)), nn.Parameter(random(2))
    sound = random(1, 3, before + 5)
    changed = torch.cat((sound[..., :before], random(1, 3, 5, seed=9)), dim=-1)
    torch.testing.assert_close(part(sound)[..., :before], part(changed)[..., :before])


def test_snake_is_its_formula() -> None:
    part = Snake(4)
    part.alpha = nn.Parameter(random(1, 4, 1).abs() + 0.5)
    x = random(2, 4, 50)
    torch.testing.assert_close(part(x), x + torch.sin(part.alpha * x) ** 2 / part.alpha)


@given(first=st.integers(0, 500), second=st.integers(0, 500), shift=st.integers(0, 500))
def test_rotated_vectors_meet_by_their_distance_only(first: int, second: int, shift: int) -> None:
    table = RotaryTable(RotaryShape(16, 10_000.0, (1.0,) * 8, 1.0), 1001, CPU, torch.float32)
    query, key = random(1, 1, 1, 16), random(1, 1, 1, 16, seed=1)

    def met(at: int, other: int) -> Tensor:
        angles = (table.at(torch.tensor([[position]])) for position in (at, other))
        return (rotate(query, next(angles)) * rotate(key, next(angles))).sum()

    torch.testing.assert_close(met(first, second), met(first + shift, second + shift), atol=2e-3, rtol=0)


def test_quantized_states_take_few_values() -> None:
    part = ScalarQuantizer(8, 4, 9)
    for weight, seed in ((part.in_proj, 0), (part.out_proj, 1)):
        weight.weight = nn.Parameter(torch.eye(*weight.weight.shape))
        weight.bias = nn.Parameter(torch.zeros(len(weight.weight)) * seed)
    codes = part(3 * random(100, 8))[:, :4] * 9
    torch.testing.assert_close(codes, codes.round())
    assert codes.abs().max() == 9


def test_guidance_of_one_is_the_guided_velocity_itself() -> None:
    guided, unguided = random(3, 4, 8), random(3, 4, 8, seed=1)
    torch.testing.assert_close(combine(guided, unguided, torch.ones(3)), guided)


def test_guidance_leaves_parallel_velocities_alone() -> None:
    """If both velocities point the same way, CFG-zero* has nothing to amplify, however strong."""
    guided = random(3, 4, 8)
    torch.testing.assert_close(combine(guided, 0.4 * guided, torch.tensor([1.0, 2.0, 9.0])), guided)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 3),
    tokens=st.integers(1, 5),
    before=st.integers(0, 9),
    kv_heads=st.integers(1, 3),
    groups=st.integers(1, 4),
)
def test_grouped_attention_is_pytorchs_with_keys_repeated(
    rows: int, tokens: int, before: int, kv_heads: int, groups: int
) -> None:
    seen = before + tokens
    queries = random(rows, tokens, kv_heads * groups, 8)
    keys, values = random(rows, seen, kv_heads, 8, seed=1), random(rows, seen, kv_heads, 8, seed=2)
    mask = torch.ones(tokens, seen, dtype=torch.bool).tril(before)
    repeated = (wide.repeat_interleave(groups, dim=2).transpose(1, 2) for wide in (keys, values))
    expected = functional.scaled_dot_product_attention(queries.transpose(1, 2), *repeated, attn_mask=mask)
    expected = expected.transpose(1, 2).flatten(2)
    torch.testing.assert_close(grouped_attention(queries, keys, values, mask), expected)
    torch.testing.assert_close(grouped_attention(queries, keys, values, mask.expand(rows, -1, -1)), expected)
