import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from voxfleet_voice.language.examples import Example
from voxfleet_voice.language.pools import POOL_BATCHES, POOL_SHARDS, PROMPT_PATCHES, batch_of, prompts_of, shards_of
from voxfleet_voice.training.files import exclusive, write_atomically
from voxfleet_voice.training.learning_rate import CosineRate, PlateauRate
from voxfleet_voice.training.loop import Loop, run, save_start
from voxfleet_voice.training.seeds import seed_of


class LineTask:
    """Fits a line to noisy points; raises at a given step, as a kill would."""

    name = "line"

    def __init__(self, killed_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(1, 1)
        self.killed_at = killed_at
        self.seen: list[float] = []

    def trained(self) -> list[nn.Parameter]:
        return list(self.network.parameters())

    def losses(self, step: int) -> Mapping[str, Tensor]:
        if step == self.killed_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 1)
        self.seen.append(x[0].item())
        return {"total": (self.network(x) - 3 * x).square().mean(), "n_points": torch.tensor(8.0)}

    def held_out(self) -> Mapping[str, float]:
        return {"error": torch.randn(()).item()}


def loop(steps: int = 30) -> Loop:
    return Loop(CosineRate(0.05, steps), (0.9, 0.98), report_steps=10, held_out_steps=10, checkpoint_seconds=0.0)


def weights(task: LineTask) -> list[float]:
    return [parameter.item() for parameter in task.network.parameters()]


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, killed, resumed = LineTask(), LineTask(killed_at=17), LineTask()
    run(whole, loop(), tmp_path / "whole.pt", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        run(killed, loop(), tmp_path / "killed.pt", lambda _: None)
    run(resumed, loop(), tmp_path / "killed.pt", lambda _: None)
    assert killed.seen + resumed.seen == whole.seen
    assert weights(resumed) == weights(whole)


def test_a_run_begins_from_given_weights(tmp_path: Path) -> None:
    given, task = LineTask(), LineTask()
    with torch.no_grad():
        for parameter in given.network.parameters():
            parameter.fill_(3.0)
    save_start(tmp_path / "line.pt", given.network)
    run(task, replace(loop(1), rate=CosineRate(0.0, 1)), tmp_path / "line.pt", lambda _: None)
    assert len(task.seen) == 1
    assert weights(task) == weights(given)


def test_a_run_that_is_over_is_not_repeated(tmp_path: Path) -> None:
    first, second = LineTask(), LineTask()
    for task in (first, second):
        run(task, loop(), tmp_path / "line.pt", lambda _: None)
    assert not second.seen
    assert weights(first) == weights(second)


def test_progress_lines_hold_means_rates_and_held_out_figures(tmp_path: Path) -> None:
    lines: list[str] = []
    run(LineTask(), loop(), tmp_path / "line.pt", lines.append)
    assert sum("held-out error" in line for line in lines) == 3
    assert sum("total" in line and "points_per_s" in line for line in lines) == 3
    assert len({line.split("error ")[1] for line in lines if "error" in line}) == 1  # the same noise every time


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")

    def fails(file: object) -> None:
        file.write(b"ne")  # type: ignore[attr-defined]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fails)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    events: list[str] = []

    def second() -> None:
        with exclusive(tmp_path / "state", lambda: events.append("waits")):
            events.append("works")

    with exclusive(tmp_path / "state", lambda: events.append("first waits")):
        thread = threading.Thread(target=second)
        thread.start()
        while not events:
            time.sleep(0.01)
    thread.join()
    assert events == ["waits", "works"]


def test_seeds_depend_on_every_part() -> None:
    assert len({seed_of("a", 1, 2), seed_of("a", 1, 3), seed_of("a", 2, 2), seed_of("b", 1, 2), seed_of("a", 12)}) == 5


@given(steps=st.integers(10, 10_000), share=st.floats(0, 1))
def test_rates_rise_to_the_peak_and_fall_to_the_remainder(steps: int, share: float) -> None:
    step = int(share * (steps - 1))
    for rate in (CosineRate(1.0, steps), PlateauRate(1.0, steps, steps * 3 // 4)):
        assert 0 < rate.at(step) <= 1
        assert rate.at(steps) <= 0.021


def test_until_the_decay_the_number_of_steps_may_change() -> None:
    short, long = PlateauRate(1.0, 1_000, 750), PlateauRate(1.0, 4_000, 3_000)
    assert [short.at(step) for step in range(750)] == [long.at(step) for step in range(750)]
    assert short.at(800) < long.at(800)


@given(count=st.integers(1, 50), number=st.integers(0, 3), seed=st.integers(0, 100))
def test_a_pass_takes_no_shard_twice(count: int, number: int, seed: int) -> None:
    size = min(POOL_SHARDS, count)
    pools = range(number * (count // size), (number + 1) * (count // size))
    taken = [shard for pool in pools for shard in shards_of(pool, count, seed)]
    assert len(taken) == len(set(taken)) == count // size * size
    if number == 0:
        assert taken == sorted(taken)


@given(lengths=st.lists(st.integers(3, 300), min_size=1, max_size=200), batch=st.integers(1, 8), seed=st.integers(0, 9))
def test_a_pool_takes_no_example_twice(lengths: list[int], batch: int, seed: int) -> None:
    batches = min(POOL_BATCHES, len(lengths) // batch)
    taken = [index for step in range(batches) for index in batch_of(lengths, batch, seed, step)]
    assert len(taken) == len(set(taken))
    assert batch_of(lengths, batch, seed, 3) == batch_of(lengths, batch, seed, 3)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_steps_is_prompted_by_sentences_of_fitting_length(share: float) -> None:
    pool = [_example(patches, is_ended=bool(patches % 2)) for patches in range(4, 60)]
    chosen = [prompts_of(pool, 8, share, seed=1, step=step) for step in range(400)]
    assert {len(prompts) for prompts in chosen} <= {0, 8}
    assert sum(map(bool, chosen)) / len(chosen) == pytest.approx(share, abs=0.1)
    assert all(len(each.patches) in PROMPT_PATCHES and each.has_final_mark for prompts in chosen for each in prompts)


def _example(patches: int, *, is_ended: bool) -> Example:
    frames = np.zeros((patches, 4, 32), np.float32)
    return Example(
        np.ones(5, np.int64), frames, frames[..., 0].astype(np.int64), frames[:, 0, :12].astype(np.int64), is_ended
    )
