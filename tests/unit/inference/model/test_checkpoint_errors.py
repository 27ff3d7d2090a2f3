"""Damaged checkpoint folders: every error names the file and the fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.errors import (
    CheckpointError,
    InvalidConfigError,
    InvalidTokenizerError,
    MissingFileError,
    MissingTensorError,
    TruncatedFileError,
    WrongArchitectureError,
    WrongTensorShapeError,
)

NORM = "base_lm.norm.weight"


@pytest.fixture
def folder(checkpoint_folder: Callable[[str, bool], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint_folder("tiny", False), tmp_path / "copy"))


def refused(folder: Path, error: type[CheckpointError]) -> str:
    with pytest.raises(error) as caught:
        load_checkpoint(folder)
    return str(caught.value)


def edit_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "audiovae.pth"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    message = refused(folder, MissingFileError)
    assert name in message
    assert "--model-path" in message


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in refused(tmp_path / "nowhere", MissingFileError)


@pytest.mark.parametrize("size", [0, 4, 8, 5000, 1_000_000])
def test_truncated_safetensors_are_named_with_their_size(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    cut(path, size)
    message = refused(folder, TruncatedFileError)
    assert str(path) in message
    assert f"{size} bytes" in message
    assert "download it again" in message


def test_truncated_safetensors_are_named_with_the_size_in_the_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.stat().st_size
    cut(path, whole - 1)
    assert f"has {whole - 1} bytes, its header promises {whole}" in refused(folder, TruncatedFileError)


def test_a_file_that_is_not_safetensors_is_named(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0<html>not found" + b"x" * 100)
    assert "has no safetensors header" in refused(folder, TruncatedFileError)


@pytest.mark.parametrize("size", [0, 100, 10_000])
def test_a_truncated_pickle_is_named(folder: Path, size: int) -> None:
    cut(folder / "audiovae.pth", size)
    message = refused(folder, TruncatedFileError)
    assert f"audiovae.pth ({size} bytes)" in message


def test_a_pickle_with_code_in_it_is_not_run(folder: Path) -> None:
    torch.save({"state_dict": {"x": Path("code")}}, folder / "audiovae.pth")
    assert "audiovae.pth" in refused(folder, TruncatedFileError)


def test_a_wrong_shape_names_file_tensor_and_both_shapes(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[NORM] = torch.ones(32)
    save_file(tensors, folder / "model.safetensors")
    message = refused(folder, WrongTensorShapeError)
    for part in (str(folder / "model.safetensors"), NORM, "[32]", "[64]", "same release"):
        assert part in message


def test_a_wrong_shape_in_the_codec_is_named_as_it_is_stored(folder: Path) -> None:
    tensors = torch.load(folder / "audiovae.pth", weights_only=True)["state_dict"]
    name = "decoder.model.2.block.1.weight_v"
    tensors[name] = tensors[name][..., :-1]
    torch.save({"state_dict": tensors}, folder / "audiovae.pth")
    message = refused(folder, WrongTensorShapeError)
    for part in ("audiovae.pth", name, "[16, 8, 41]", "[16, 8, 42]"):
        assert part in message


def test_a_missing_tensor_is_named_with_the_shape_it_should_have(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors[NORM]
    save_file(tensors, folder / "model.safetensors")
    message = refused(folder, MissingTensorError)
    for part in ("model.safetensors", NORM, "[64]"):
        assert part in message


@pytest.mark.parametrize("architecture", ["voxcpm2", "VoxCPM2", "llama"])
def test_another_architecture_is_rejected_by_name(folder: Path, architecture: str) -> None:
    edit_config(folder, architecture=architecture)
    message = refused(folder, WrongArchitectureError)
    assert repr(architecture.lower()) in message
    assert "VoxCPM 0.5B and 1.5" in message


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "\x00", "[]", "3"])
def test_a_corrupt_config_is_named(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert str(folder / "config.json") in refused(folder, InvalidConfigError)


def test_a_missing_field_is_named(folder: Path) -> None:
    edit_config(folder, lm_config={"hidden_size": 64})
    assert "lm_config.vocab_size: missing" in refused(folder, InvalidConfigError)


@pytest.mark.parametrize(("field", "value"), [("dit_mean_mode", True), ("patch_size", 0), ("feat_dim", "wide")])
def test_a_setting_that_cannot_be_run_is_named_with_its_value(folder: Path, field: str, value: object) -> None:
    edit_config(folder, **{field: value})
    message = refused(folder, InvalidConfigError)
    assert field in message
    assert repr(value) in message


@pytest.mark.parametrize(
    ("section", "field", "value", "said"),
    [
        ("audio_vae_config", "latent_dim", 32, "latent_dim 32 must equal feat_dim 64"),
        ("audio_vae_config", "encoder_rates", [2, 3], "must agree"),
        ("dit_config", "kv_channels", 32, "8 factors for a head of 32"),
    ],
)
def test_inconsistent_parts_are_named(folder: Path, section: str, field: str, value: object, said: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit_config(folder, **{section: config[section] | {field: value}})
    assert said in refused(folder, InvalidConfigError)


def test_a_corrupt_tokenizer_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert str(folder / "tokenizer.json") in refused(folder, InvalidTokenizerError)


def test_a_tokenizer_of_another_model_is_rejected(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["lm_config"]["vocab_size"] = 200
    (folder / "config.json").write_text(json.dumps(config))
    message = refused(folder, InvalidTokenizerError)
    assert "vocab_size 200" in message


def test_every_error_is_a_checkpoint_error() -> None:
    leaves = [MissingFileError, TruncatedFileError, InvalidConfigError, WrongArchitectureError, InvalidTokenizerError]
    for error in (*leaves, MissingTensorError, WrongTensorShapeError):
        assert issubclass(error, CheckpointError)
