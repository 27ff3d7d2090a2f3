"""The error of reduced codec precisions. TF32 is simulated: mantissas of both factors are rounded to 10 bits."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from voxfleet_inference.model.audio_vae import AudioVae
from voxfleet_inference.model.cuda.codec import CodecDtype, set_tf32, with_precision
from voxfleet_inference.model.cuda.shapes import CodecSizes, Sizes, tiny_sizes
from voxfleet_inference.model.random_weights.random_model import random_model


@pytest.fixture(autouse=True)
def restored_settings() -> Iterator[None]:
    """Restore PyTorch's settings after each test."""
    matrices, convolutions = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matrices, convolutions


def codec(*, is_harsh: bool = False) -> AudioVae:
    """Narrow, but as deep as the published one; initialized as in PyTorch, or with unit gain everywhere."""
    tiny = tiny_sizes()
    sizes = Sizes(tiny.base_lm, tiny.residual_lm, tiny.local_encoder, tiny.local_dit, CodecSizes(8, decoder_dim=128))
    vae = random_model(sizes, torch.device("cpu"), torch.float32).vae
    for weight in () if is_harsh else (each for each in vae.parameters() if each.dim() == 3 and each.shape[0] > 1):
        weight.data.div_(math.sqrt(3))
    return vae


@torch.inference_mode()
def streamed(vae: AudioVae, patches: int = 4) -> Tensor:
    random, memory = torch.Generator().manual_seed(1), vae.decoder.initial_state(2)
    return torch.cat([vae.decode(torch.randn(2, 64, 4, generator=random), memory) for _ in range(patches)], dim=1)


def decibels(made: Tensor, exact: Tensor) -> float:
    return 20 * math.log10((exact.norm() / (made - exact).norm()).item())


def to_tf32(x: Tensor) -> Tensor:
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize(("is_harsh", "least"), [(False, 60), (True, 48)])
def test_the_error_of_tf32_is_small(monkeypatch: pytest.MonkeyPatch, is_harsh: bool, least: float) -> None:  # noqa: FBT001
    exact = streamed(codec(is_harsh=is_harsh))
    plain = functional.conv1d

    def rounded(x: Tensor, weight: Tensor, *more: Any, **named: Any) -> Tensor:
        return plain(to_tf32(x), to_tf32(weight), *more, **named)

    monkeypatch.setattr(functional, "conv1d", rounded)
    assert least < decibels(streamed(with_precision(codec(is_harsh=is_harsh), "tf32")), exact) < least + 12


def test_bfloat16_streams_in_the_given_state() -> None:
    exact, reduced = streamed(codec()), streamed(with_precision(codec(), "bf16"))
    assert reduced.dtype == torch.float32
    assert 30 < decibels(reduced, exact) < 60  # why it is not the default


def test_float32_changes_nothing() -> None:
    assert torch.equal(streamed(with_precision(codec(), "fp32")), streamed(codec()))


@pytest.mark.parametrize(("dtype", "in_convolutions"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_every_setting_is_explicit(dtype: CodecDtype, in_convolutions: bool) -> None:  # noqa: FBT001
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = not in_convolutions
    set_tf32(dtype)
    assert torch.backends.cuda.matmul.allow_tf32 is False
    assert torch.backends.cudnn.allow_tf32 is in_convolutions
