"""One streaming step on a CPU, part by part: ours in each number format beside the public reference package.

    python benchmarks/cpu_step.py [--threads 2] [--threads 1] [--steps 8] [--dtype int8 ...] [--json F]

Weights are random (their values do not change the time), shapes those of VoxCPM 1.5; a step is 160 ms of audio. All
sides take their steps in turn, so that other load on the machine slows all of them: compare ratios of medians. The
reference runs in bfloat16, as published. `error` is the relative L2 distance of latents from our float32's, with all
models fed the latents of float32 (`--no-errors` skips it). Needs the `oracle` dependencies and 8 GB.
"""

import argparse
import copy
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

# Waiting threads spin for microseconds and then sleep, as in the engine; otherwise other load slows a step tenfold.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch
from full_size_models import as_type, full_config, our_model, reference_model
from teacher_forcing import TEXT, error, exact_latents, prefilled_runner
from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG
from voxfleet_inference.model.random_weights.tiny_tokenizer import write_tiny_tokenizer
from voxfleet_inference.model.shapes import TransformerShape
from voxfleet_inference.model.voxcpm import VoxCPM

STEP_MS = 160.0  # of audio
WARM_UP = 2
PARTS = ("CFM", "base LM", "residual LM", "LocEnc", "VAE")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}


@dataclass
class Side:
    """A model that takes steps, and the milliseconds of its steps and their parts."""

    name: str
    step: Callable[[], object]
    parts: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in (*PARTS, "step")})

    def watch(self, part: str, owner: Any, method: str) -> None:
        """Time every later call of a method of a module."""
        inner = getattr(owner, method)

        def timed(*args: Any, **named: Any) -> Any:
            with self.clock(part):
                return inner(*args, **named)

        setattr(owner, method, timed)

    @contextmanager
    def clock(self, part: str) -> Iterator[None]:
        """Record the time of the body."""
        started = time.perf_counter()
        yield
        self.parts[part].append(1e3 * (time.perf_counter() - started))

    def take_step(self) -> None:
        """Take one step and record its time."""
        with self.clock("step"):
            self.step()

    def median(self, part: str) -> float:
        """Return the median of a part in milliseconds, without warm-up."""
        return statistics.median(self.parts[part][WARM_UP:])


def the_reference(model: Any, steps: int) -> Side:
    """Return the reference as a side: each next() of its streaming generator is a step."""
    generator = model.generate_with_prompt_cache_streaming(TEXT, None, max_len=steps)
    next(generator)  # reads the prompt
    side = Side("reference", lambda: next(generator))
    side.watch("CFM", model.feat_decoder, "forward")
    side.watch("base LM", model.base_lm, "forward_step")
    side.watch("residual LM", model.residual_lm, "forward_step")
    side.watch("LocEnc", model.feat_encoder, "forward")
    side.watch("VAE", model.audio_vae, "decode")
    return side


def ours(name: str, model: VoxCPM, steps: int) -> Side:
    """Return our model as a side, with one slot."""
    runner = prefilled_runner(model, steps)
    noise = torch.randn(1, model.config.patch_size, model.config.feat_dim)
    side = Side(name, lambda: runner.step([0], noise))
    network = model.network
    modules = (network.feat_decoder, network.base_lm, network.residual_lm, network.feat_encoder)
    for part, module in zip(PARTS, modules, strict=False):
        side.watch(part, module, "forward")
    side.watch("VAE", model.vae, "decode")
    return side


def table(sides: list[Side]) -> str:
    """Format a row per part and a column per side, with the speedup over the first."""
    reference = sides[0]
    head = f"{'ms per step':14}" + "".join(f"{side.name:>20}" for side in sides)
    rows = []
    for part in (*PARTS, "step"):
        cells = [f"{reference.median(part):20.1f}"]
        cells += [
            f"{side.median(part):11.1f} {reference.median(part) / side.median(part):6.1f} x" for side in sides[1:]
        ]
        rows.append(f"{part:14}" + "".join(cells))
    rows.append(f"{'times real':14}" + "".join(f"{STEP_MS / side.median('step'):20.2f}" for side in sides))
    return "\n".join((head, *rows))


def weights_read(model: VoxCPM) -> int:
    """Count the layer weights that a step reads, those of the solver once per evaluation."""
    sizes = model.config
    passes = (
        (sizes.base_lm, 1),
        (sizes.residual_lm, 1),
        (sizes.local_encoder, 1),
        (sizes.local_dit, 9),
    )
    return sum(times * shape.layers * layer_weights(shape) for shape, times in passes)


def layer_weights(shape: TransformerShape) -> int:
    """Count the weights of one layer: attention and feed-forward."""
    attention = shape.hidden * shape.head_dim * 2 * (shape.heads + shape.kv_heads)
    return attention + 3 * shape.hidden * shape.ffn


def read_bandwidth() -> float:
    """Measure the bytes per second that summing a large tensor reads."""
    large = torch.ones(2**28 // 4)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        large.sum()
        seconds.append(time.perf_counter() - started)
    return 2**28 / statistics.median(seconds)


def say(line: str) -> None:
    """Print a line and flush."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def measure(reference: Any, models: dict[str, VoxCPM], steps: int) -> list[Side]:
    """Run all sides, one step each in turn."""
    sides = [the_reference(reference, steps + WARM_UP + 2)]
    sides += [ours(name, model, steps + WARM_UP + 1) for name, model in models.items()]
    for _ in range(steps + WARM_UP):
        for side in sides:
            side.take_step()
    return sides


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--dtype", choices=tuple(DTYPES), action="append")
    parser.add_argument("--no-errors", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Build the models once and measure with each number of threads."""
    given = arguments()
    report: dict[str, Any] = {}
    config = full_config() if given.size == "full" else copy.deepcopy(TINY_CONFIG)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config["lm_config"].setdefault("vocab_size", write_tiny_tokenizer(folder))
        reference = reference_model(config, folder)
        build = partial(our_model, reference, config, folder)
        exact = None if given.no_errors else exact_latents(build(torch.float32), given.steps)
        models = {name: build(DTYPES[name]) for name in given.dtype or ("bf16", "int8")}
        if exact:
            report["errors"] = {name: error(model, exact) for name, model in models.items()}
            say("error against fp32, teacher-forced: " + json.dumps(report["errors"]))
        as_type(reference, torch.bfloat16)
        for threads in given.threads or [2]:
            torch.set_num_threads(threads)
            bandwidth = read_bandwidth()
            sides = measure(reference, models, given.steps)
            say(f"\n{given.size}, {threads} threads, torch {torch.__version__}, reads {bandwidth / 1e9:.1f} GB/s")
            say(table(sides))
            floor_ms = 1e3 * weights_read(next(iter(models.values()))) / bandwidth
            say(f"reading the layers' weights alone: int8 {floor_ms:.0f} ms, bf16 {2 * floor_ms:.0f} ms")
            report[f"{threads} threads"] = {side.name: {p: side.median(p) for p in side.parts} for side in sides}
    say(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
