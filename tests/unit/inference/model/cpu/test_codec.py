"""The codec in C equals the codec in PyTorch, for every variant of the kernels that this CPU can run."""

import copy
import ctypes
import math
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from voxfleet_inference.model.audio_vae import AudioVae, CodecState
from voxfleet_inference.model.config import AudioVaeConfig
from voxfleet_inference.model.cpu import codec
from voxfleet_inference.model.cpu.codec import FusedDecoder
from voxfleet_inference.model.cpu.compile import best_variant, library_file, variants
from voxfleet_inference.model.cpu.packing import fuse_codec

RUNNABLE = variants()[variants().index(best_variant()) :]
RATES = ([7, 3, 2], [2, 5], [8])


def a_vae(rates: list[int]) -> AudioVae:
    config = AudioVaeConfig(
        encoder_dim=8, encoder_rates=rates[::-1], latent_dim=16, decoder_dim=48, decoder_rates=rates, sample_rate=44100
    )
    vae = AudioVae(config)
    random = torch.Generator().manual_seed(3)
    for name, weight in vae.named_parameters():
        if name.endswith("alpha"):
            weight.data = 0.5 + torch.rand(weight.shape, generator=random)
        else:
            fan_in = weight[0].numel() if weight.dim() > 1 else 100
            weight.data = torch.randn(weight.shape, generator=random) * (0.5 / fan_in**0.5)
    return vae.eval().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module", params=RUNNABLE, ids=lambda variant: variant.name, autouse=True)
def variant(request: pytest.FixtureRequest) -> Iterator[None]:
    library = ctypes.CDLL(str(library_file(request.param)))
    with patch.object(codec, "kernels", lambda: library):
        yield


def both(rates: list[int]) -> tuple[AudioVae, AudioVae]:
    original, rearranged = a_vae(rates), a_vae(rates)
    original.pack()
    rearranged.pack()
    fuse_codec(rearranged)
    return original, rearranged


@torch.inference_mode()
def in_pieces(vae: AudioVae, memory: CodecState, frames: Tensor, sizes: list[int]) -> Tensor:
    return torch.cat([vae.decode(piece, memory) for piece in torch.split(frames, sizes, dim=-1)], dim=-1)


@pytest.mark.parametrize("rates", RATES)
@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 4), sizes=st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_any_pieces_equal_the_original_at_once(rates: list[int], rows: int, sizes: list[int]) -> None:
    original, rearranged = both(rates)
    frames = torch.randn(rows, 16, sum(sizes), generator=torch.Generator().manual_seed(sum(sizes)))
    memories = original.decoder.initial_state(rows), rearranged.decoder.initial_state(rows)
    whole = in_pieces(original, memories[0], frames, [sum(sizes)])
    torch.testing.assert_close(in_pieces(rearranged, memories[1], frames, sizes), whole, atol=1e-5, rtol=0)
    for mine, theirs in zip(memories[1], memories[0], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)  # before the final tanh


def test_the_state_may_be_views_of_one_tensor() -> None:
    """Views are updated in place, as the runner's pooled states are."""
    _, vae = both(RATES[0])
    apart = vae.decoder.initial_state(2)
    pool = torch.zeros(2, sum(each[0].numel() for each in apart))
    pieces = pool.split([each[0].numel() for each in apart], dim=1)
    pooled = [piece.view(each.shape) for piece, each in zip(pieces, apart, strict=True)]
    frames = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(in_pieces(vae, pooled, frames, [4, 4]), in_pieces(vae, apart, frames, [4, 4]))
    torch.testing.assert_close(pool, torch.cat([each.flatten(1) for each in apart], dim=1))
    assert pool.any()


@torch.inference_mode()
def test_rows_are_independent_to_the_bit() -> None:
    """Whatever else is in the batch, and at every place in it."""
    _, vae = both(RATES[0])
    frames = torch.randn(9, 16, 4, generator=torch.Generator().manual_seed(1)) * torch.logspace(-2, 2, 9)[:, None, None]
    memory, single = vae.decoder.initial_state(9), vae.decoder.initial_state(1)
    for _ in range(3):
        together, alone = vae.decode(frames, memory), vae.decode(frames[5:6], single)
        assert torch.equal(together[5:6], alone)


def test_sines_of_large_numbers() -> None:
    """Snake's argument is not bounded, so the range reduction has to hold for large numbers."""
    original, rearranged = both(RATES[2])
    frames = 3000 * torch.randn(1, 16, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        memories = original.decoder.initial_state(1), rearranged.decoder.initial_state(1)
        sounds = original.decoder.before_tanh(frames, memories[0]).tanh()[:, 0], rearranged.decode(frames, memories[1])
    torch.testing.assert_close(*sounds, atol=1e-3, rtol=0)


@pytest.mark.parametrize("rates", RATES)
@settings(max_examples=10, deadline=None)
@given(rows=st.integers(1, 3), frames=st.integers(1, 60))
@torch.inference_mode()
def test_samples_become_the_original_encoders_frames(rates: list[int], rows: int, frames: int) -> None:
    """For recordings longer than one chunk, too."""
    original, rearranged = both(rates)
    random = torch.Generator().manual_seed(frames)
    samples = torch.randn(rows, frames * math.prod(rates), generator=random)
    expected = original.encode(samples)
    assert expected.shape == (rows, 16, frames)
    torch.testing.assert_close(rearranged.encode(samples), expected, atol=1e-5, rtol=1e-5)


def test_the_original_weights_are_freed() -> None:
    _, vae = both(RATES[0])
    assert list(vae.parameters()) == []


def test_an_unknown_module_is_rejected() -> None:
    vae = a_vae(RATES[0])
    vae.pack()
    decoder = copy.copy(vae.decoder)
    decoder.model = torch.nn.ModuleList([*vae.decoder.model[:2], torch.nn.ReLU(), *vae.decoder.model[-2:]])
    with pytest.raises(TypeError, match="ReLU is no part of a decoder"):
        FusedDecoder(decoder)
