"""Reading a good checkpoint in its variants, and the generator of tiny ones."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint
from voxfleet_inference.model.voxcpm import VoxCPM

from .conftest import speak

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


def test_the_reference_finds_every_key_it_knows_and_no_other(
    checkpoint_folder: Callable[[str, bool], Path], reference: Callable[[str, bool], object]
) -> None:
    folder = checkpoint_folder("tiny", False)
    stored = set(load_file(folder / "model.safetensors"))
    stored |= {f"audio_vae.{name}" for name in torch.load(folder / "audiovae.pth", weights_only=True)["state_dict"]}
    assert set(reference("tiny", False).model.state_dict()) == stored  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_makes_audible_noise_and_ends_by_itself(seed: int, tmp_path: Path, tape: Callable[[VoxCPM], Tensor]) -> None:
    write_tiny_checkpoint(tmp_path, seed)
    model = load_checkpoint(tmp_path)
    assert 18 <= len(model.tokenizer.encode(TWENTY_TOKENS)) <= 26
    spoken = speak(model, TWENTY_TOKENS, tape(model), 10, 2.0)
    assert 10 <= len(spoken.latents) <= 40
    assert spoken.samples.abs().max() <= 1
    loudness = spoken.samples.view(-1, model.patch_samples).square().mean(dim=1).sqrt()
    assert (loudness > 0.05).all()
    assert (loudness < 0.7).all()


def test_rates_are_those_of_the_published_model(ours: Callable[[str, bool], VoxCPM]) -> None:
    model = ours("tiny", False)
    assert (model.config.patch_size, model.config.feat_dim, model.config.sample_rate) == (4, 64, 44100)
    assert (model.patch_samples, model.patches_per_second) == (7056, 6.25)


def test_other_file_formats_of_the_same_weights_speak_the_same(
    checkpoint_folder: Callable[[str, bool], Path], tmp_path: Path, tape: Callable[[VoxCPM], Tensor]
) -> None:
    """pytorch_model.bin as the 0.5B checkpoint has it; audiovae.safetensors, preferred over a (here broken) .pth."""
    source = checkpoint_folder("tiny", False)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    torch.save({"state_dict": load_file(source / "model.safetensors")}, tmp_path / "pytorch_model.bin")
    vae = torch.load(source / "audiovae.pth", weights_only=True)["state_dict"]
    save_file({name: tensor.contiguous() for name, tensor in vae.items()}, tmp_path / "audiovae.safetensors")
    (tmp_path / "audiovae.pth").write_bytes(b"broken")
    there, here = (load_checkpoint(folder) for folder in (source, tmp_path))
    spoken = [speak(model, "Hello", tape(model), 2, 2.0, limit=3) for model in (there, here)]
    # Not to the bit: where a file maps its tensors in memory decides which kernel multiplies them.
    torch.testing.assert_close(spoken[0].samples, spoken[1].samples, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_take_the_asked_type_and_the_codec_stays_in_float32(
    dtype: torch.dtype, checkpoint_folder: Callable[[str, bool], Path]
) -> None:
    model = load_checkpoint(checkpoint_folder("tiny", False), "cpu", dtype)
    assert {weight.dtype for weight in model.network.parameters()} == {dtype}
    samples = torch.zeros(1, model.patch_samples)
    assert model.vae.encode(samples).dtype == torch.float32
    frames = torch.zeros(1, model.config.feat_dim, model.config.patch_size)
    assert model.vae.decode(frames, model.vae.decoder.start(1)).dtype == torch.float32
    assert not any(weight.requires_grad for weight in model.network.parameters())


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, voxfleet_inference.model, voxfleet_inference.text, voxfleet_inference.audio; print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "tokenizers", "pydantic"} & set(loaded)


def test_loading_a_checkpoint_imports_no_compiler_and_no_transformers(
    checkpoint_folder: Callable[[str, bool], Path],
) -> None:
    load = "from voxfleet_inference.model.checkpoint import load_checkpoint; import sys"
    code = f"{load}; load_checkpoint({str(checkpoint_folder('tiny', False))!r}); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"transformers", "torchaudio", "wetext", "torch._dynamo", "torch._inductor"} & set(loaded)
