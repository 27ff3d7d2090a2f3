"""The options of `voxfleet-inference synthesize`.

Knows: their defaults. Does not know: what they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SynthesisError(Exception):
    """The text could not be spoken; the message names the option or the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisOptions:
    """The options of `voxfleet-inference synthesize`."""

    model_path: Path
    text: str
    output: Path
    voice: str = ""  # a name as a server takes it; none and no recording: each text draws its own by the seed
    voices_dir: Path | None = None
    reference_audio: Path | None = None
    reference_text: str = ""
    seed: int = 0
    speed: float = 1.0
    normalizes: bool = False
    cfg_value: float = 2.0
    inference_timesteps: int = 10
    noise_file: Path | None = None
    latents_out: Path | None = None
    max_steps: int | None = None  # patches per sentence
    splits: bool = True
    retries: bool = True
    dtype: str = "float32"
    device: str = "cpu"
    cpu_threads: int = 0  # 0: by the model's size
