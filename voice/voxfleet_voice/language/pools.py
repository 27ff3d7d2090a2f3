"""Which examples a step trains on: a function of the seed and the step's number.

Knows: a few shards at a time make a pool, whose examples are sorted by length against padding. The first pass takes the
shards in order, so training may begin while later ones are still being made; each later pass shuffles them.
Does not know: what is in a shard.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxfleet_voice.language.examples import Example, prompted
from voxfleet_voice.training.seeds import seed_of

POOL_BATCHES: Final = 12
POOL_SHARDS: Final = 3  # of ten minutes each: a little more than the batches of a pool
PROMPT_PATCHES: Final = range(8, 41)  # 1.3 to 6.4 s
_POLL_SECONDS: Final = 5.0


def shards_of(pool: int, count: int, seed: int) -> list[int]:
    """Return the shards of a pool: [POOL_SHARDS] numbers below `count`, fewer where there are fewer."""
    size = min(POOL_SHARDS, count)
    number, within = divmod(pool, count // size)
    order = list(range(count))
    if number:
        random.Random(seed_of("pass", seed, number)).shuffle(order)  # noqa: S311
    return order[within * size : (within + 1) * size]


def batch_of(lengths: Sequence[int], batch: int, seed: int, step: int) -> list[int]:
    """Choose a step's examples from its pool: `batch` indices of similar length, or all if there are not so many."""
    pool, within = divmod(step, POOL_BATCHES)
    source = random.Random(seed_of("batches", seed, pool))  # noqa: S311
    drawn = source.sample(range(len(lengths)), min(len(lengths), batch * POOL_BATCHES))
    drawn.sort(key=lambda index: lengths[index])
    starts = list(range(0, len(drawn) - batch + 1, batch)) or [0]
    source.shuffle(starts)
    start = starts[within % len(starts)]
    return drawn[start : start + batch]


def prompts_of(pool: Sequence[Example], count: int, share: float, seed: int, step: int) -> list[Example]:
    """Choose `count` prompts of similar length for the examples of a `share` of the steps, and none for the others."""
    source = random.Random(seed_of("prompts", seed, step))  # noqa: S311
    fitting = [each for each in pool if len(each.patches) in PROMPT_PATCHES and each.has_final_mark]
    if source.random() >= share or not fitting:
        return []
    fitting.sort(key=len)
    start = source.randrange(max(1, len(fitting) - 2 * count))
    return source.choices(fitting[start : start + 2 * count], k=count)


@dataclass(frozen=True)
class Pools:
    """The training set of the language models, read shard by shard."""

    paths: list[Path]
    read: Callable[[Path], list[Example]]
    batch: int
    prompted_share: float  # of the batches: their utterances follow a prompt
    seed: int

    def at(self, step: int) -> list[Example]:
        """Return the examples of a step."""
        pool = self._pool(step // POOL_BATCHES)
        examples = [pool[index] for index in batch_of([len(each) for each in pool], self.batch, self.seed, step)]
        prompts = prompts_of(pool, len(examples), self.prompted_share, self.seed, step)
        return [prompted(*pair) for pair in zip(prompts, examples, strict=True)] if prompts else examples

    @functools.lru_cache(maxsize=1)  # noqa: B019 - one set lives as long as its process
    def _pool(self, number: int) -> list[Example]:
        shards = shards_of(number, len(self.paths), self.seed)
        return [example for shard in shards for example in self.read(_awaited(self.paths[shard]))]

    def __hash__(self) -> int:
        """Hash by identity, for the cache."""
        return id(self)


def _awaited(path: Path) -> Path:
    """Wait until another process has made a shard."""
    while not path.exists():
        time.sleep(_POLL_SECONDS)
    return path
