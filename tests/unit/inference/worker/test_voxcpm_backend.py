"""Resampling of recordings: torchaudio's samples, from inputs of few lengths."""

from __future__ import annotations

import pytest
import torch
import torchaudio.functional
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.worker.voxcpm_backend import resampled

RATES = st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000, 96000, 192000])


@given(length=st.integers(1, 50_000), rate=RATES)
def test_resampling_equals_torchaudio(length: int, rate: int) -> None:
    samples = torch.randn(length, generator=torch.Generator().manual_seed(length))
    theirs = torchaudio.functional.resample(samples, rate, 44100)
    ours = resampled(samples, rate, 44100)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_recordings_are_padded_to_few_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = set()

    def resample(samples: torch.Tensor, rate: int, wanted_rate: int) -> torch.Tensor:
        lengths.add(len(samples))
        return torch.zeros(-(-len(samples) * wanted_rate // rate))

    monkeypatch.setattr(torchaudio.functional, "resample", resample)
    for length in range(16_000, 480_000, 997):
        assert len(resampled(torch.zeros(length), 16000, 44100)) == -(-length * 44100 // 16000)
    assert len(lengths) == 6
