"""The generator of tiny checkpoints: reproducible, small, in the published format, with a finite utterance."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint
from voxfleet_inference.model.voxcpm import VoxCPM

from ..conftest import decode  # noqa: TID252 - tests are no package

TWENTY_TOKENS = "我们今天去北京，天气很好，人工智能语音合成测试"
FILES = {
    "config.json",
    "model.safetensors",
    "audiovae.pth",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
}


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        write_tiny_checkpoint(tmp_path / name, seed)
    one, two, other = (digests(tmp_path / name) for name in ("one", "two", "other"))
    assert set(one) == FILES
    assert one == two
    assert {name for name in FILES if one[name] != other[name]} == {"model.safetensors", "audiovae.pth"}


def test_it_is_small_and_has_the_published_keys(checkpoint_folder: Callable[[str, bool], Path]) -> None:
    folder = checkpoint_folder("tiny", False)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8e6
    names = set(load_file(folder / "model.safetensors"))
    assert {"feat_encoder.special_token", "feat_decoder.estimator.delta_time_mlp.linear_2.bias"} <= names
    deep = checkpoint_folder("1.5", True)
    assert len(torch.load(deep / "audiovae.pth", weights_only=True)["state_dict"]) == 299
    assert "not speech" in json.loads((folder / "config.json").read_text())["description"]


def test_the_file_has_exactly_the_keys_of_the_reference_model(
    checkpoint_folder: Callable[[str, bool], Path], reference: Callable[[str, bool], object]
) -> None:
    folder = checkpoint_folder("tiny", False)
    stored = set(load_file(folder / "model.safetensors"))
    stored |= {f"audio_vae.{name}" for name in torch.load(folder / "audiovae.pth", weights_only=True)["state_dict"]}
    assert set(reference("tiny", False).model.state_dict()) == stored  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_its_audio_is_audible_and_of_finite_length(seed: int, tmp_path: Path, tape: Callable[[VoxCPM], Tensor]) -> None:
    write_tiny_checkpoint(tmp_path, seed)
    model = load_checkpoint(tmp_path)
    assert 18 <= len(model.tokenizer.encode(TWENTY_TOKENS)) <= 26
    decoded = decode(model, TWENTY_TOKENS, tape(model), 10, 2.0)
    assert 10 <= len(decoded.latents) <= 40
    assert decoded.samples.abs().max() <= 1
    loudness = decoded.samples.view(-1, model.patch_samples).square().mean(dim=1).sqrt()
    assert (loudness > 0.05).all()
    assert (loudness < 0.7).all()


def test_rates_are_those_of_the_published_model(ours: Callable[[str, bool], VoxCPM]) -> None:
    model = ours("tiny", False)
    assert (model.config.patch_size, model.config.feat_dim, model.config.sample_rate) == (4, 64, 44100)
    assert (model.patch_samples, model.patches_per_second) == (7056, 6.25)
