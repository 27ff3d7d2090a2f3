"""Checkpoints and the reference package, each created once per test run.

`Reference` runs the public `voxcpm` package on the same files as our model. Its initial noise is replaced by a tape,
because it draws from a global generator, and its quantizer codes are recorded.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG, write_tiny_checkpoint
from voxfleet_inference.model.runner.decoding import DecodingSettings, Prompt, maximum_steps
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM

CodesOf = list[Tensor]


@pytest.fixture(scope="module", autouse=True)
def torch_threads() -> Iterator[None]:
    """One thread: the tests run beside others, and threads that wait for one another are slow there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config_of(version: str) -> dict[str, Any]:
    """Deeper than the tiny checkpoint, so that faults between layers show."""
    config = copy.deepcopy(TINY_CONFIG)
    config["lm_config"]["num_hidden_layers"] = 3
    config["residual_lm_num_layers"] = 2
    config["encoder_config"]["num_layers"] = config["dit_config"]["num_layers"] = 2
    config["audio_vae_config"] |= {"encoder_dim": 4, "encoder_rates": [2, 3, 6, 7, 7]}
    config["audio_vae_config"] |= {"decoder_dim": 64, "decoder_rates": [7, 7, 6, 3, 2]}
    if version == "0.5b":
        config |= {"patch_size": 2, "scalar_quantization_latent_dim": 48, "max_length": 1024}
        config["audio_vae_config"] |= {
            "encoder_dim": 4,
            "encoder_rates": [2, 5, 8, 8],
            "decoder_dim": 32,
            "decoder_rates": [8, 8, 5, 2],
            "sample_rate": 16000,
        }
        config["lm_config"] |= {"use_mup": True, "kv_channels": 24}
        config["lm_config"]["rope_scaling"] |= {
            "long_factor": [1.0 + 0.5 * index for index in range(12)],
            "short_factor": [1.0 + 0.125 * index for index in range(12)],
            "original_max_position_embeddings": 8192,
        }
        config["encoder_config"]["kv_channels"] = config["dit_config"]["kv_channels"] = 24
    return config


@pytest.fixture(scope="session")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """Folder of a version's checkpoint; `endless` ones never predict a stop."""
    made: dict[tuple[str, bool], Path] = {}

    def folder_of(version: str, endless: bool) -> Path:  # noqa: FBT001
        if (version, endless) not in made:
            folder = made[version, endless] = tmp_path_factory.mktemp(f"voxcpm-{version}")
            config = None if version == "tiny" else config_of(version)
            write_tiny_checkpoint(folder, seed=len(made), config=config)
            if endless:
                weights = load_file(folder / "model.safetensors")
                weights["stop_head.weight"].zero_()
                save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return made[version, endless]

    return folder_of


@dataclass
class Decoded:
    """The output of either side for a sentence."""

    latents: Tensor  # [patches, patch_size, feat_dim], without the prompt's
    samples: Tensor  # [samples]
    codes: CodesOf = field(default_factory=list)  # tanh before rounding: prefill's, then each step's


@dataclass
class VoicePrompt:
    """A transcript and its recording's latents."""

    text: str
    latents: Tensor  # [patches, patch_size, feat_dim]


class Reference:
    """The public package on the same files."""

    def __init__(self, folder: Path) -> None:
        from voxcpm.model.voxcpm import VoxCPMModel  # noqa: PLC0415 - heavy

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = VoxCPMModel.from_local(str(folder), optimize=False, device="cpu")

    def decode(
        self, text: str, tape: Tensor, timesteps: int, cfg: float, prompt: VoicePrompt | None = None, limit: int = 2000
    ) -> Decoded:
        rows = iter(tape)
        codes: CodesOf = []
        hook = self.model.fsq_layer.in_proj.register_forward_hook(lambda _m, _i, out: codes.append(torch.tanh(out)))
        cache = prompt and {"prompt_text": prompt.text, "audio_feat": prompt.latents}

        def from_tape(*_: Any, dtype: torch.dtype, **__: Any) -> Tensor:
            noise: Tensor = next(rows)
            return noise.T[None].to(dtype)  # [1, feat_dim, patch_size]

        try:
            with patch("torch.randn", from_tape):
                samples, _, latents = self.model.generate_with_prompt_cache(
                    text, cache, max_len=limit, inference_timesteps=timesteps, cfg_value=cfg
                )
        finally:
            hook.remove()
        borrowed = min(2, len(prompt.latents)) if prompt else 0
        return Decoded(latents[borrowed:].float(), samples[0], codes)


@pytest.fixture(scope="session")
def reference(checkpoint_folder: Callable[[str, bool], Path]) -> Callable[[str, bool], Reference]:
    loaded: dict[tuple[str, bool], Reference] = {}

    def reference_of(version: str, endless: bool) -> Reference:  # noqa: FBT001
        if (version, endless) not in loaded:
            loaded[version, endless] = Reference(checkpoint_folder(version, endless))
        return loaded[version, endless]

    return reference_of


@pytest.fixture(scope="session")
def ours(checkpoint_folder: Callable[[str, bool], Path]) -> Callable[[str, bool], VoxCPM]:
    loaded: dict[tuple[str, bool], VoxCPM] = {}

    def model_of(version: str, endless: bool) -> VoxCPM:  # noqa: FBT001
        if (version, endless) not in loaded:
            loaded[version, endless] = load_checkpoint(checkpoint_folder(version, endless))
        return loaded[version, endless]

    return model_of


def decode(
    model: VoxCPM,
    text: str,
    tape: Tensor,
    timesteps: int,
    cfg: float,
    prompt: VoicePrompt | None = None,
    limit: int = 2000,
) -> Decoded:
    """Decode with our model as an engine does, in one slot of a ModelRunner."""
    ids = model.tokenizer.encode((prompt.text if prompt else "") + text)
    steps = maximum_steps(len(model.tokenizer.encode(text)), limit)
    read = Prompt(ids, prompt.latents if prompt else None)
    runner = ModelRunner(model, RunnerConfig(slots=1, positions=read.positions + steps))
    runner.admit(0, 0, read.positions + steps, read, DecodingSettings(timesteps, cfg))
    runner.prefill(0, read.positions)
    latents, samples = [], []
    for step in range(steps):
        result = runner.step([0], tape[step][None])
        latents.append(result.latents[0])
        samples.append(result.samples[0])
        if result.is_last.item():
            break
    return Decoded(torch.stack(latents), torch.cat(samples))


@pytest.fixture(scope="session")
def tape() -> Callable[[VoxCPM], Tensor]:
    """Noise for up to 200 steps: [steps, patch_size, feat_dim]."""

    def tape_of(model: VoxCPM) -> Tensor:
        shape = (200, model.config.patch_size, model.config.feat_dim)
        return torch.randn(shape, generator=torch.Generator().manual_seed(7))

    return tape_of
