"""Loading a complete checkpoint: file formats, dtypes and imports."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.voxcpm import VoxCPM

from .conftest import decode

TWENTY_TOKENS = "我们今天去北京，天气很好，人工智能语音合成测试"
FILES = {
    "config.json",
    "model.safetensors",
    "audiovae.pth",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
}


def test_other_file_formats_of_the_same_weights_give_the_same_samples(
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
    decoded = [decode(model, "Hello", tape(model), 2, 2.0, limit=3) for model in (there, here)]
    # Not to the bit: kernels are chosen by the address of a tensor, which depends on its offset in the file.
    torch.testing.assert_close(decoded[0].samples, decoded[1].samples, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_take_the_requested_dtype_and_the_codec_stays_in_float32(
    dtype: torch.dtype, checkpoint_folder: Callable[[str, bool], Path]
) -> None:
    model = load_checkpoint(checkpoint_folder("tiny", False), "cpu", dtype)
    assert {weight.dtype for weight in model.network.parameters()} == {dtype}
    samples = torch.zeros(1, model.patch_samples)
    assert model.vae.encode(samples).dtype == torch.float32
    frames = torch.zeros(1, model.config.feat_dim, model.config.patch_size)
    assert model.vae.decode(frames, model.vae.decoder.initial_state(1)).dtype == torch.float32
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
