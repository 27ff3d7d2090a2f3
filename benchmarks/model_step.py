"""One step of our model against one of the public reference package: same weights, same machine, same minutes.

    python benchmarks/model_step.py [--size full|tiny] [--threads 2] [--steps 6] [--dtype float32 --dtype bfloat16]

Weights are random (their values cost nothing), shapes those of VoxCPM 1.5. Both sides stream: each step gives 160 ms
of sound. Steps of the two alternate, so that a busy neighbour slows both; only the ratio means anything. Needs the
`oracle` dependencies and, at full size, about 8 GB of memory.
"""

import argparse
import copy
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from voxfleet_inference.audio.vae import AudioVae
from voxfleet_inference.model.checkpoint import read_tokenizer
from voxfleet_inference.model.config import ModelConfig
from voxfleet_inference.model.kv_cache import Span
from voxfleet_inference.model.network import Network
from voxfleet_inference.model.seats.decoding import DecodingSettings, Prompt
from voxfleet_inference.model.seats.speaker import Room, Speaker
from voxfleet_inference.model.tiny_checkpoint import TINY_CONFIG
from voxfleet_inference.model.voxcpm import VoxCPM
from voxfleet_inference.model.weights import WeightFile, fill
from voxfleet_inference.text.tiny_tokenizer import write_tiny_tokenizer

TEXT = "今天天气很好，我们去北京。Hello, this is the first test sentence."
SECONDS_PER_STEP = 0.16


class LoadedWeights(WeightFile):
    """The reference's own tensors, shared and not copied."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(Path("the reference model"))
        self._tensors = tensors

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def read(self, name: str) -> Tensor:
        """The tensor of that name."""
        return self._tensors[name]


def full_config() -> dict[str, Any]:
    """VoxCPM 1.5 as published, but for the tokenizer."""
    config = copy.deepcopy(TINY_CONFIG)
    lm = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24}
    factors = [1.0 + 0.05 * index for index in range(32)]
    config["lm_config"] |= lm | {"vocab_size": 73448}
    config["lm_config"]["rope_scaling"] |= {"long_factor": factors, "short_factor": factors}
    local = {"hidden_dim": 1024, "ffn_dim": 4096, "num_heads": 16, "num_layers": 8}
    config["encoder_config"] |= local
    config["dit_config"] |= local
    vae = {"encoder_dim": 64, "encoder_rates": [2, 3, 6, 7, 7], "decoder_dim": 2048, "decoder_rates": [7, 7, 6, 3, 2]}
    config["audio_vae_config"] |= vae
    return config | {"residual_lm_num_layers": 8, "scalar_quantization_latent_dim": 256, "max_length": 8192}


def reference_model(config: dict[str, Any], folder: Path) -> Any:
    """The public model with random weights, never stopping."""
    from transformers import LlamaTokenizerFast  # noqa: PLC0415 - heavy
    from voxcpm.model.voxcpm import AudioVAE, VoxCPMConfig, VoxCPMModel  # noqa: PLC0415

    warnings.simplefilter("ignore")
    parsed = VoxCPMConfig.model_validate(config)
    tokenizer = LlamaTokenizerFast.from_pretrained(str(folder))
    model = VoxCPMModel(parsed, tokenizer, AudioVAE(config=parsed.audio_vae_config), device="cpu").eval()
    model.stop_head.weight.data.zero_()
    return model


def our_model(reference: Any, config: dict[str, Any], folder: Path, dtype: torch.dtype) -> VoxCPM:
    """Our model on the reference's tensors."""
    parsed, cpu = ModelConfig.model_validate(config), torch.device("cpu")
    with torch.device("meta"):
        network, vae = Network(parsed, cpu, dtype), AudioVae(parsed.audio_vae_config)
    fill(network, LoadedWeights(reference.state_dict()), dtype)
    fill(vae, LoadedWeights(reference.audio_vae.state_dict()), torch.float32)
    vae.pack()
    return VoxCPM(parsed, read_tokenizer(folder, parsed), network, vae)


def as_type(reference: Any, dtype: torch.dtype) -> None:
    """Move the reference to a type the way it loads itself: everything but the codec, caches too."""
    name = str(dtype).removeprefix("torch.")
    reference.to(dtype)
    reference.audio_vae.to(torch.float32)
    reference.config.dtype = name
    for lm in (reference.base_lm, reference.residual_lm):
        lm.setup_cache(1, reference.config.max_length, "cpu", dtype)


def theirs(reference: Any, steps: int) -> Iterator[object]:
    """Their streaming generator: each next() is a step."""
    return iter(reference.generate_with_prompt_cache_streaming(TEXT, None, max_len=steps))


def seconds(action: Callable[[], object]) -> float:
    """How long it took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def parts(speaker: Speaker) -> dict[str, Callable[[], object]]:
    """What a step of ours consists of, each to be run on its own."""
    model, rows = speaker.model, speaker.rows_of([0])
    states = speaker.pools.gather(rows)
    patch = torch.randn(1, model.config.patch_size, model.config.feat_dim, dtype=model.dtype)
    heard = model.network.embed_patches(patch[:, None])
    span = Span.after(states.first, states.lengths, 1, rows.extents)
    return {
        "solver (9 x LocDiT)": lambda: model.network.draw(patch, states.previous, states.hidden, states.guidance),
        "codec": lambda: speaker.sound(rows, patch),
        "LocEnc": lambda: model.network.embed_patches(patch[:, None]),
        "both LMs": lambda: model.network.read(heard[:, :0], heard, speaker.arenas, span),
    }


def measure(reference: Any, model: VoxCPM, steps: int) -> None:
    """Alternate steps of both and print medians; the first two of each are warm-up."""
    noise = torch.randn(1, model.config.patch_size, model.config.feat_dim)
    ids = model.tokenizer.encode(TEXT)
    prompt, room = Prompt(ids), Room(seats=1, positions=len(ids) + 4 * steps + 20)
    speaker = Speaker(model, room)
    speaker.admit(0, 0, room.positions, prompt, DecodingSettings(10, 2.0))
    speaker.prefill(0, prompt.positions)
    their_steps = theirs(reference, steps + 2)
    pairs = [(seconds(lambda: next(their_steps)), seconds(lambda: speaker.step([0], noise))) for _ in range(steps + 2)]
    reference_ms, our_ms = (1e3 * statistics.median(column) for column in zip(*pairs[2:], strict=True))
    say(f"  reference, streaming  {reference_ms:9.1f} ms/step   RTF {reference_ms / 1e3 / SECONDS_PER_STEP:.2f}")
    say(f"  ours                  {our_ms:9.1f} ms/step   RTF {our_ms / 1e3 / SECONDS_PER_STEP:.2f}")
    say(f"  ratio                 {reference_ms / our_ms:9.2f} x")
    with torch.inference_mode():
        for name, action in parts(speaker).items():
            action()
            say(f"    {name:20}{1e3 * statistics.median(seconds(action) for _ in range(3)):9.1f} ms")


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Parse, build once, measure each type."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), action="append")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = full_config() if given.size == "full" else copy.deepcopy(TINY_CONFIG)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = write_tiny_tokenizer(folder)
        config["lm_config"].setdefault("vocab_size", tokens)
        reference = reference_model(config, folder)
        for dtype_name in given.dtype or ("float32", "bfloat16"):
            dtype = getattr(torch, dtype_name)
            as_type(reference, dtype)
            say(f"{given.size}, {dtype_name}, {given.threads} threads, torch {torch.__version__}")
            measure(reference, our_model(reference, config, folder, dtype), given.steps)


if __name__ == "__main__":
    main()
