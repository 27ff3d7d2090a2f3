"""Time to first audio on a CPU by `--max-prefill-tokens`, and the underruns of a stream that is already playing.

    python benchmarks/cpu_prefill.py [--size tiny|small|middle|full] [--dtype int8] [--threads 2]
        [--rounds 4] [--tokens 16 32 64 128]

An engine in this process, with random weights. Two scenes: so many sentences arrive at once (`burst`), or arrive while
another is playing (`beside`). Each has a voice of 9.6 s and 121 positions to prefill. Sizes are measured in turn, in
another order in every round, so that other load on the machine slows all of them: medians, and ratios to the first.
`silent ms` is the time without audio of a player that started with the first patch of the sentence that is playing.
"""

import argparse
import copy
import random
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from voxfleet_inference.engine.engine import Engine
from voxfleet_inference.engine.messages import (
    Cancel,
    Report,
    Sentence,
    SequenceEnded,
    StepDone,
    Stop,
    Submit,
    VoicePrompt,
)
from voxfleet_inference.engine.model_backend import ModelBackend
from voxfleet_inference.engine.process import EngineSettings
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.model.random_weights.tiny_checkpoint import TINY_CONFIG, write_tiny_checkpoint
from voxfleet_inference.voices.prompt_builders import BUILT_IN_VOICE_TEXT
from voxfleet_inference.worker.loading import load_backend

PATCH_SECONDS = 0.16
PATIENCE_SECONDS = 300.0
TEXT = "It is raining in the old town, and nobody is out."  # words: speech
LATENTS = np.random.default_rng(0).standard_normal((60, 4, 64), dtype=np.float32)
VOICE = VoicePrompt(BUILT_IN_VOICE_TEXT + BUILT_IN_VOICE_TEXT, LATENTS)
PLAYING, FIRST_ARRIVING = 1, 10  # sequence ids
SIZES = {
    "small": (256, 8, 2),
    "middle": (512, 12, 4),
    "full": (1024, 24, 8),
}  # hidden, layers of the first LM, of the others


@dataclass
class ReportCollector:
    """Collects the arrival times of each sequence's patches."""

    arrivals: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    steps: list[tuple[float, float]] = field(default_factory=list)  # end, duration; seconds
    ended: set[int] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, report: Report) -> None:
        """Take a report; called by the engine's thread."""
        with self.changed:
            now = time.perf_counter()
            if isinstance(report, StepDone):
                self.steps.append((now, report.step_seconds))
                for patch in report.patches:
                    self.arrivals[patch.sequence_id].append(now)
            elif isinstance(report, SequenceEnded):
                self.ended.add(report.sequence_id)
            self.changed.notify_all()

    def wait(self, condition: Any) -> None:
        """Wait for a condition on the reports.

        Raises:
            TimeoutError: it is not met within PATIENCE_SECONDS.
        """
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_SECONDS):
                raise TimeoutError(f"the engine made no progress within {PATIENCE_SECONDS:g} s")

    def silent_seconds(self, sequence_id: int, until: float) -> float:
        """Return the seconds in which a player's buffer was empty."""
        arrivals = [arrived for arrived in self.arrivals[sequence_id] if arrived <= until]
        played_until, silent = arrivals[0], 0.0
        for arrived in arrivals:
            silent += max(0.0, arrived - played_until)
            played_until = max(played_until, arrived) + PATCH_SECONDS
        return silent


def measure(model: ModelBackend, tokens: int, arriving: int, *, is_beside: bool) -> tuple[float, float, float, float]:
    """Return mean and longest time to first audio, silence of the playing stream, and longest step, in seconds."""
    collector = ReportCollector()
    engine = Engine(model, Limits(8, 64, max_prefill_tokens=tokens), PATCH_SECONDS, collector)
    thread = threading.Thread(target=engine.run)
    thread.start()
    if is_beside:
        engine.enqueue(Submit(Sentence(sequence_id=PLAYING, text=TEXT, seed=PLAYING, prompt=VOICE)))
        collector.wait(lambda: len(collector.arrivals[PLAYING]) > 2)  # noqa: PLR2004 - it is playing
    ids = range(FIRST_ARRIVING, FIRST_ARRIVING + arriving)
    began = time.perf_counter()
    for each in ids:
        engine.enqueue(Submit(Sentence(sequence_id=each, text=TEXT, seed=each, prompt=VOICE, max_steps=3)))
    collector.wait(lambda: collector.ended.issuperset(ids))
    over = time.perf_counter()
    engine.enqueue(Cancel(PLAYING))
    engine.enqueue(Stop())
    thread.join()
    waits = [collector.arrivals[each][0] - began for each in ids]
    silent = collector.silent_seconds(PLAYING, over) if is_beside else 0.0
    longest = max(seconds for arrived, seconds in collector.steps if began <= arrived <= over)
    return statistics.mean(waits), max(waits), silent, longest


def model_of(size: str, dtype: str, threads: int, folder: Path) -> ModelBackend:
    """Load a model of some size with random weights; the tiny one always in float32."""
    config = copy.deepcopy(TINY_CONFIG)
    if size in SIZES:
        hidden, layers, few = SIZES[size]
        factors = [1.0 + 0.05 * index for index in range(32)]
        heads = {"num_attention_heads": hidden // 64, "num_hidden_layers": layers}
        config["lm_config"] |= {"hidden_size": hidden, "intermediate_size": 4 * hidden} | heads
        config["lm_config"]["rope_scaling"] |= {"long_factor": factors, "short_factor": factors}
        local = {"hidden_dim": hidden, "ffn_dim": 4 * hidden, "num_heads": hidden // 64, "num_layers": few}
        config |= {"residual_lm_num_layers": few}
        config["encoder_config"] |= local
        config["dit_config"] |= local
        config["audio_vae_config"] |= {"decoder_dim": hidden}
    write_tiny_checkpoint(folder, config=config)
    dtype = dtype if size in SIZES else "float32"
    return load_backend(EngineSettings(model_path=folder, dtype=dtype, limits=Limits(8, 64), cpu_threads=threads))[0]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("tiny", *SIZES), default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "int8", "float32"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tokens", type=int, nargs="+", default=[16, 32, 64, 128])
    asked = parser.parse_args()
    scenes = [(False, 1), (False, 4), (False, 8), (True, 1), (True, 4)]
    found: dict[tuple[bool, int, int], list[tuple[float, ...]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        model = model_of(asked.size, asked.dtype, asked.threads, Path(folder))
        for at in range(asked.rounds + 1):  # the first one warms up
            for scene in scenes:
                for tokens in random.sample(asked.tokens, len(asked.tokens)):
                    measured = measure(model, tokens, scene[1], is_beside=scene[0])
                    found[*scene, tokens] += [measured] if at else []
    print("scene     sentences  tokens  first ms  ratio  last ms  ratio  silent ms  longest step ms")
    for (is_beside, arriving, tokens), made in sorted(found.items()):
        first = found[is_beside, arriving, asked.tokens[0]]
        mean, last, silent, longest = (1e3 * statistics.median(column) for column in zip(*made, strict=True))
        ratios = [statistics.median(a[at] / b[at] for a, b in zip(made, first, strict=True)) for at in (0, 1)]
        print(
            f"{'beside' if is_beside else 'burst':9} {arriving:9} {tokens:7} {mean:9.0f} {ratios[0]:6.2f}"
            f" {last:8.0f} {ratios[1]:6.2f} {silent:10.0f} {longest:16.0f}"
        )


if __name__ == "__main__":
    main()
