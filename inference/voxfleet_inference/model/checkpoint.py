"""Load a checkpoint folder in the published format.

Knows: which files a checkpoint has, and the order in which they are checked, the cheap ones first. Does not know: how
weights are stored or what they compute.
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
from voxfleet_inference.model.cpu.packing import compute_dtype_of, fill_packed, fuse_codec
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
    """Load a checkpoint folder onto a device.

    With `torch.int8` (on a CPU) the matrices of the transformer layers are quantized and the rest computes in float32.

    Raises:
        CheckpointError: a file is missing, damaged or of another model; the message names the file and the way out.
    """
    folder, target = Path(path), torch.device(device)
    config = read_config(folder)
    tokenizer = read_tokenizer(folder, config)
    compute_dtype = compute_dtype_of(dtype)
    with torch.device("meta"):  # shapes only: every parameter is replaced by a tensor from a file
        network, vae = Network(config, target, compute_dtype), AudioVae(config.audio_vae_config)
    is_on_cpu = target.type == "cpu"
    weights = open_weights(folder, MODEL_FILES, target)
    if is_on_cpu:
        fill_packed(network, weights, dtype)
    else:
        fill(network, weights, compute_dtype)
    fill(vae, open_weights(folder, VAE_FILES, target), torch.float32)
    vae.pack()
    if is_on_cpu:
        fuse_codec(vae)
        return_freed_memory()
    return VoxCPM(config, tokenizer, network, vae)


def read_config(folder: Path) -> ModelConfig:
    """Read and validate config.json.

    Raises:
        MissingFileError, InvalidConfigError, WrongArchitectureError: it cannot be served.
    """
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
            f"{path}: architecture is {architecture!r}, this server runs {ARCHITECTURE!r} (VoxCPM 0.5B and 1.5):"
            " point --model-path at such a checkpoint"
        )
    try:
        return ModelConfig.model_validate(fields)
    except ValidationError as error:
        raise InvalidConfigError(f"{path} describes a model that this server cannot run: {_reasons(error)}") from error


def read_tokenizer(folder: Path, config: ModelConfig) -> Tokenizer:
    """Read tokenizer.json and check that the model has an embedding for each of its tokens.

    Raises:
        MissingFileError, InvalidTokenizerError: it cannot be used.
    """
    path = _existing(folder / TOKENIZER_FILE)
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:
        raise InvalidTokenizerError(f"{path} is not a readable tokenizer ({error}): download it again") from error
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
