"""One training run: steps with a seed each, progress lines, a checkpoint every few minutes.

Knows: optimizer, schedule, checkpoint. A step's batch and noise depend on the seed and the step's number alone, so a
run that was killed and resumed goes through the same data in the same order.
Does not know: what is trained; a `Task` knows that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from voxfleet_voice.training.files import exclusive, write_atomically
from voxfleet_voice.training.learning_rate import LearningRate
from voxfleet_voice.training.progress import Means, Write, formatted
from voxfleet_voice.training.seeds import seed_of


class Task(Protocol):
    """What is trained, and on what."""

    @property
    def name(self) -> str:
        """Its name in progress lines."""

    @property
    def network(self) -> nn.Module:
        """All that a checkpoint holds."""

    def trained(self) -> list[nn.Parameter]:
        """Return the parameters that the optimizer moves."""

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Return the losses of a step's batch; `total` is the one that is minimised."""

    def held_out(self) -> Mapping[str, float]:
        """Return figures on data that is never trained on."""


@dataclass(frozen=True, slots=True)
class Loop:
    """How long and how fast to train."""

    rate: LearningRate
    betas: tuple[float, float]
    weight_decay: float = 0.01
    seed: int = 0
    report_steps: int = 50
    held_out_steps: int = 500
    checkpoint_seconds: float = 150.0
    max_gradient: float = 1.0


def run(task: Task, loop: Loop, path: Path, write: Write) -> None:
    """Train from the checkpoint at `path`, or from the beginning, until the last step; leave a checkpoint of it."""
    with exclusive(path, lambda: write(f"{task.name}: another process trains it; waiting")):
        _run(task, loop, path, write)


def _run(task: Task, loop: Loop, path: Path, write: Write) -> None:
    optimizer = torch.optim.AdamW(
        task.trained(), loop.rate.peak, loop.betas, weight_decay=loop.weight_decay, fused=True
    )
    step = restore(path, task.network, optimizer)
    write(f"{task.name}: step {step} of {loop.rate.steps}")
    means, saved_at, saved_step = Means(), time.monotonic(), step
    while step < loop.rate.steps:
        means.add(_step(task, optimizer, loop, step))
        step += 1
        if step % loop.report_steps == 0 or step == loop.rate.steps:
            write(f"{task.name} {step} {formatted(means.taken())}")
        if step % loop.held_out_steps == 0 or step == loop.rate.steps:
            write(f"{task.name} {step} held-out {formatted(_held_out(task, loop))}")
        if time.monotonic() - saved_at >= loop.checkpoint_seconds:
            save(path, task.network, optimizer, step)
            saved_at, saved_step = time.monotonic(), step
    if saved_step < step:
        save(path, task.network, optimizer, step)


def _step(task: Task, optimizer: torch.optim.Optimizer, loop: Loop, step: int) -> Mapping[str, Tensor]:
    torch.manual_seed(seed_of("noise", loop.seed, step))
    for group in optimizer.param_groups:
        group["lr"] = loop.rate.at(step)
    losses = task.losses(step)
    optimizer.zero_grad()
    losses["total"].backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(task.trained(), loop.max_gradient)
    optimizer.step()
    return losses


def _held_out(task: Task, loop: Loop) -> Mapping[str, float]:
    """Evaluate with the same noise every time."""
    torch.manual_seed(seed_of("held-out", loop.seed))
    task.network.eval()
    with torch.no_grad():
        figures = task.held_out()
    task.network.train()
    return figures


def save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write network, optimizer and step."""
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    write_atomically(path, lambda file: torch.save(state, file))


def save_start(path: Path, network: nn.Module) -> None:
    """Write a network from which a run begins, at step 0 and with an optimizer that has seen nothing."""
    state = {"network": network.state_dict(), "step": 0}
    write_atomically(path, lambda file: torch.save(state, file))


def restore(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load what `save` or `save_start` wrote and return its step; 0 where there is no checkpoint."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    if "optimizer" in state:
        optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
