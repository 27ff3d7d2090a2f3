"""A folder in the published format to a model that can speak.

Knows which files there are and in which order they are checked: the cheap ones first. Does not know how weights are
stored or what they compute.
"""

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from voxfleet_inference.model.audio_vae import AudioVae
from voxfleet_inference.model.config import ModelConfig
from voxfleet_inference.model.cpu.memory import return_freed_memory
from voxfleet_inference.model.cpu.packing import arithmetic_of, fill_packed, fuse_codec
from voxfleet_inference.model.errors import (
    InvalidConfigError,
    InvalidTokenizerError,
    MissingFileError,
    WrongArchitectureError,
)
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.tokenizer import Tokenizer
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.model.weights import fill, open_weights

ARCHITECTURE = "voxcpm"
CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
MODEL_FILES = ("model.safetensors", "pytorch_model.bin")
VAE_FILES = ("audiovae.safetensors", "audiovae.pth")


def load_checkpoint(path: Path | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> VoxCPM:
    """Load a checkpoint folder onto a device; raises a CheckpointError that says what is wrong with it.

    `torch.int8` (on a CPU) keeps the matrices of the layers as bytes and computes the rest in float32.
    """
    folder, place = Path(path), torch.device(device)
    config = read_config(folder)
    tokenizer = read_tokenizer(folder, config)
    arithmetic = arithmetic_of(dtype)
    with torch.device("meta"):
        network, vae = Network(config, place, arithmetic), AudioVae(config.audio_vae_config)
    is_on_cpu = place.type == "cpu"
    weights = open_weights(folder, MODEL_FILES, place)
    if is_on_cpu:
        fill_packed(network, weights, dtype)
    else:
        fill(network, weights, arithmetic)
    fill(vae, open_weights(folder, VAE_FILES, place), torch.float32)
    vae.pack()
    if is_on_cpu:
        fuse_codec(vae)
        return_freed_memory()
    return VoxCPM(config, tokenizer, network, vae)


def read_config(folder: Path) -> ModelConfig:
    """Read and check config.json."""
    path = _existing(folder / CONFIG_FILE)
    try:
        fields: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidConfigError(f"{path} is not valid JSON ({error}): download it again") from error
    if not isinstance(fields, dict):
        raise InvalidConfigError(f"{path} holds {fields!r:.40}, not an object: download it again")
    architecture = str(fields.get("architecture", ARCHITECTURE)).lower()
    if architecture != ARCHITECTURE:
        raise WrongArchitectureError(
            f"{path}: architecture is {architecture!r}, this server speaks {ARCHITECTURE!r} (VoxCPM 0.5B and 1.5):"
            " point --model-path at such a checkpoint"
        )
    try:
        return ModelConfig.model_validate(fields)
    except ValidationError as error:
        raise InvalidConfigError(f"{path} describes a model that this server cannot run: {_reasons(error)}") from error


def read_tokenizer(folder: Path, config: ModelConfig) -> Tokenizer:
    """Read tokenizer.json and check that the model has an embedding for each of its tokens."""
    path = _existing(folder / TOKENIZER_FILE)
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:
        raise InvalidTokenizerError(f"{path} is no readable tokenizer ({error}): download it again") from error
    if tokenizer.vocabulary_size > config.lm_config.vocab_size:
        raise InvalidTokenizerError(
            f"{path} has token ids up to {tokenizer.vocabulary_size - 1}, config.json says vocab_size"
            f" {config.lm_config.vocab_size}: both must come from the same release"
        )
    return tokenizer


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise MissingFileError(f"{path} is missing: point --model-path at a complete checkpoint folder")
    return path


def _reasons(error: ValidationError) -> str:
    return "; ".join(_reason(".".join(str(part) for part in reason["loc"]), reason) for reason in error.errors())


def _reason(field: str, reason: ErrorDetails) -> str:
    if reason["type"] == "missing":
        return f"{field}: missing"
    return f"{field}: {reason['msg']}, given {reason['input']!r}" if field else reason["msg"]
