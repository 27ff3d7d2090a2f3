"""The unmodified reference package on a checkpoint, in float32.

Knows: the package's API, and how it is given the server's own built-in voice. Does not know: the server.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from speaking.sentences import Sentence
from speaking.synthesis import Clip, Spoken
from voxfleet_inference.voices.prompt_builders import BUILT_IN_VOICE_TEXT

TIMESTEPS, MIN_PATCHES, MAX_PATCHES = 10, 2, 200


class Reference:
    """The loaded package with one voice and one guidance scale; `voice` is "default" or "random"."""

    def __init__(self, checkpoint: Path, *, cfg_value: float, voice: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._prompt = built_in_voice(checkpoint) if voice == "default" and not _single_speaker(checkpoint) else None
        self._cfg_value = cfg_value
        self._model = _load(checkpoint)

    def speak_all(self, sentences: Sequence[Sentence], seeds: Sequence[int], on_clip: Callable[[], None]) -> Spoken:
        """Speak every sentence with every seed, one after another."""
        started, clips = time.monotonic(), []
        for seed in seeds:
            for sentence in sentences:
                clips.append(self._speak(sentence, seed))
                on_clip()
        return Spoken(tuple(clips), time.monotonic() - started)

    def _speak(self, sentence: Sentence, seed: int) -> Clip:
        torch.manual_seed(seed)
        with torch.inference_mode(), _silence():
            samples, _, _ = self._model.generate_with_prompt_cache(
                sentence.spoken,
                self._prompt,
                min_len=MIN_PATCHES,
                max_len=MAX_PATCHES,
                inference_timesteps=TIMESTEPS,
                cfg_value=self._cfg_value,
            )
        return Clip(sentence, seed, samples.float().numpy().ravel(), self._model.sample_rate)


def _single_speaker(checkpoint: Path) -> bool:
    """Return whether the server reads this checkpoint's built-in voices without a prompt."""
    return bool(json.loads((checkpoint / "config.json").read_text()).get("single_speaker", False))


def built_in_voice(checkpoint: Path) -> dict[str, Any]:
    """Return the server's built-in voice as the package's prompt cache.

    Its latents have the shape [patches, patch_size, feat_dim].
    """
    with tempfile.TemporaryDirectory() as folder:
        latents = Path(folder) / "latents"
        command = [sys.executable, "-m", "voxfleet_inference", "synthesize", "--model-path", str(checkpoint)]
        command += ["--text", BUILT_IN_VOICE_TEXT, "--seed", "0", "--dtype", "fp32", "--max-steps", "32"]
        command += ["--latents-out", str(latents), "--output", str(Path(folder) / "voice.wav")]
        subprocess.run(command, check=True, capture_output=True)
        return {"prompt_text": BUILT_IN_VOICE_TEXT, "audio_feat": load_file(latents)["latents"]}


def _load(checkpoint: Path) -> Any:
    """Load the package on a copy of the checkpoint whose config.json asks for float32."""
    from voxcpm.model.voxcpm import VoxCPMModel  # noqa: PLC0415 - heavy

    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(), _silence():
        warnings.simplefilter("ignore")
        for file in checkpoint.iterdir():
            (Path(name) / file.name).symlink_to(file.resolve())
        config = Path(name) / "config.json"
        settings = json.loads(config.read_text()) | {"dtype": "float32"}
        config.unlink()
        config.write_text(json.dumps(settings))
        return VoxCPMModel.from_local(name, optimize=False, device="cpu")


def _silence() -> contextlib.AbstractContextManager[Any]:
    """The package prints progress bars."""
    return contextlib.redirect_stderr(io.StringIO())
