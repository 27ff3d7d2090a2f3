"""Loads a checkpoint onto its device, by the settings, with as many slots and KV positions as fit.

Knows: devices, threads, number formats and memory.
Does not know: what the engine does with the model.
"""

from __future__ import annotations

import sys
from typing import Final

import torch

from voxfleet_inference.engine.messages import Loaded
from voxfleet_inference.engine.process import CodecDtype, EngineSettings, WrongWeightsError
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.cpu.processors import granted_processors
from voxfleet_inference.model.errors import CheckpointError
from voxfleet_inference.model.runner.determinism import disable_nondeterminism
from voxfleet_inference.model.runner.model_runner import RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.worker.voxcpm_backend import VoxCpmBackend

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}
# Of weights. With fewer, threads wait for one another longer than they compute.
_WORTH_DIVIDING_BYTES: Final = 100_000_000
_SLOTS_PER_ROW: Final = 4  # a parked sequence keeps its slot and takes no row
_CPU_POSITIONS_PER_ROW: Final = 1024  # a long sentence with a long voice prompt
_FEWEST_POSITIONS: Final = 512  # with fewer, ordinary sentences would be rejected as too long
_SHARE_OF_FREE_MEMORY: Final = 0.7  # of a GPU, for KV positions; the rest is for a step's activations


def load_backend(settings: EngineSettings) -> tuple[VoxCpmBackend, Loaded]:
    """Load a checkpoint onto its device; returns the backend and what the checkpoint is.

    Raises:
        WrongWeightsError: the checkpoint cannot be loaded, or the device is absent or too small.
    """
    vae_dtype = codec_dtype(settings)
    model = _loaded(settings)
    rows = settings.limits.max_rows
    config = RunnerConfig(_SLOTS_PER_ROW * rows, _kv_positions(settings, model), rows, settings.deterministic)
    if settings.device == "cpu":
        return VoxCpmBackend(model, config), _model_info(model)
    return _on_gpu(model, config, vae_dtype), _model_info(model)


def codec_dtype(settings: EngineSettings) -> CodecDtype:
    """The codec's number format: the setting, or for `auto` TF32 on a GPU, where float32 has no tensor cores.

    Raises:
        WrongWeightsError: the format does not go with the device or with --deterministic.
    """
    exact = settings.device == "cpu" or settings.deterministic
    if settings.vae_dtype == "auto":
        return "fp32" if exact else "tf32"
    if exact and settings.vae_dtype != "fp32":
        why = "--device cpu" if settings.device == "cpu" else "--deterministic"
        raise WrongWeightsError(f"--vae-dtype {settings.vae_dtype} does not go with {why}: give fp32 or auto")
    return settings.vae_dtype


def _on_gpu(model: VoxCPM, config: RunnerConfig, vae_dtype: CodecDtype) -> VoxCpmBackend:
    """The backend with fused kernels and recorded steps; nothing else imports Triton."""
    from voxfleet_inference.model.cuda.optimize import capture_steps, optimize_model  # noqa: PLC0415 - no CPU needs it

    return VoxCpmBackend(
        optimize_model(model, vae_dtype), config, lambda runner: capture_steps(runner, _print_progress)
    )


def _print_progress(done: int, total: int) -> None:
    sys.stderr.write(f"voxfleet-inference: recorded {done} of {total} batch sizes\n")
    sys.stderr.flush()


def _loaded(settings: EngineSettings) -> VoxCPM:
    if settings.device == "cpu":
        torch.set_num_threads(_cpu_threads(settings))
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise WrongWeightsError("--device cuda: no usable CUDA device or driver here; --device cpu serves without one")
    if settings.device == "cuda" and settings.dtype == "int8":
        raise WrongWeightsError("--dtype int8 is for --device cpu: on a GPU give bfloat16 or float32")
    if settings.deterministic and settings.device == "cuda":
        disable_nondeterminism()
    try:
        return load_checkpoint(settings.model_path, settings.device, DTYPES[settings.dtype])
    except CheckpointError as error:
        raise WrongWeightsError(str(error)) from error


def _cpu_threads(settings: EngineSettings) -> int:
    """The setting; for 0, one thread for a small model, else one for each processor that is granted."""
    if settings.cpu_threads:
        return settings.cpu_threads
    weights = sum(each.stat().st_size for each in settings.model_path.glob("*") if each.is_file())
    if weights < _WORTH_DIVIDING_BYTES:
        return 1
    granted = granted_processors()
    return torch.get_num_threads() if granted is None else max(1, min(torch.get_num_threads(), int(granted)))


def _kv_positions(settings: EngineSettings, model: VoxCPM) -> int:
    """The setting; for 0, as many as the device's free memory holds, but no more than all slots could use."""
    if settings.kv_cache_positions:
        return settings.kv_cache_positions
    longest = model.config.max_length
    if settings.device == "cpu":
        return max(longest, _CPU_POSITIONS_PER_ROW * settings.limits.max_rows)
    lms = (model.config.base_lm, model.config.residual_lm)
    # A position is a key and a value in every layer of both language models.
    position_bytes = sum(2 * lm.layers * lm.kv_heads * lm.head_dim for lm in lms) * model.dtype.itemsize
    free_bytes, _ = torch.cuda.mem_get_info(model.device)
    positions = int(free_bytes * _SHARE_OF_FREE_MEMORY) // position_bytes
    if positions < _FEWEST_POSITIONS:
        raise WrongWeightsError(
            f"{free_bytes / 2**20:.0f} MiB of GPU memory are free behind the weights, room for {positions} KV"
            f" positions, and {_FEWEST_POSITIONS} are needed: stop other processes on the GPU, or use a larger GPU"
        )
    return min(positions, _SLOTS_PER_ROW * settings.limits.max_rows * longest)


def _model_info(model: VoxCPM) -> Loaded:
    return Loaded(
        sample_rate=model.config.sample_rate,
        patch_samples=model.patch_samples,
        token_rate=model.patches_per_second,
        patch_size=model.config.patch_size,
        feat_dim=model.config.feat_dim,
        loaded_seconds=0.0,
        languages=model.config.languages,
        single_speaker=model.config.single_speaker,
    )
