"""Makes numbered shards in several processes; those that are there already are left alone.

Knows: names, seeds and processes. A run that was killed goes on with the shards that are missing.
Does not know: what a shard holds.
"""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voxfleet_voice.corpus.speaking import Speaking, load_speaking
from voxfleet_voice.training.files import exclusive
from voxfleet_voice.training.progress import Write
from voxfleet_voice.training.seeds import seed_of

_REPORT_EVERY: Final = 10
WriteShard = Callable[[Path, float, int, Speaking], None]  # path, seconds, seed, teacher


@dataclass(frozen=True, slots=True)
class ShardSet:
    """A folder of shards, each with so many seconds of speech."""

    folder: Path
    count: int
    seconds_each: float
    seed: int

    def paths(self) -> list[Path]:
        """Return all paths, in order."""
        return [self.folder / f"{index:04d}.npz" for index in range(self.count)]


def make_shards(shards: ShardSet, write_shard: WriteShard, teacher_folder: Path, workers: int, write: Write) -> None:
    """Make the shards that are missing."""
    with exclusive(shards.folder, lambda: write(f"{shards.folder.name}: another process makes them; waiting")):
        _make_missing(shards, write_shard, teacher_folder, workers, write)


def _make_missing(shards: ShardSet, write_shard: WriteShard, teacher_folder: Path, workers: int, write: Write) -> None:
    missing = [(path, seed_of("shard", shards.seed, index)) for index, path in enumerate(shards.paths())]
    missing = [(path, seed) for path, seed in missing if not path.exists()]
    if not missing:
        return
    shards.folder.mkdir(parents=True, exist_ok=True)
    write(f"{shards.folder.name}: {len(missing)} of {shards.count} shards to make")
    make = functools.partial(_make, write_shard, teacher_folder, shards.seconds_each)
    for done, _ in enumerate(_made(make, missing, workers), 1):
        if done % _REPORT_EVERY == 0 or done == len(missing):
            write(f"{shards.folder.name}: {done} of {len(missing)} made")


def _made(make: Callable[[Path, int], Path], missing: list[tuple[Path, int]], workers: int) -> Iterator[Path]:
    """Make each shard, and yield it when it is done."""
    if workers == 1:
        yield from (make(path, seed) for path, seed in missing)
        return
    spawn = multiprocessing.get_context("spawn")  # forked threads of torch would hang
    with ProcessPoolExecutor(workers, spawn) as pool:
        for future in as_completed([pool.submit(make, path, seed) for path, seed in missing]):
            yield future.result()


def _make(write_shard: WriteShard, teacher_folder: Path, seconds: float, path: Path, seed: int) -> Path:
    write_shard(path, seconds, seed, _speaking(teacher_folder))
    return path


@functools.cache
def _speaking(folder: Path) -> Speaking:
    return load_speaking(folder)
