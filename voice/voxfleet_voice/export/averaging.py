"""The mean of checkpoints' weights, where one run went on from the other.

Such weights lie in one basin, and their mean is often better than either and costs nothing at inference (Wortsman et
al., "Model soups", ICML 2022).

Knows: the files of a checkpoint.
Does not know: how the checkpoints came about.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

_WEIGHTS = "model.safetensors"


class DifferentCheckpointsError(Exception):
    """Two checkpoints have tensors of other names or shapes, so there is no mean."""


def write_mean(checkpoints: Sequence[Path], folder: Path) -> None:
    """Write the mean of the language models' weights; all other files are those of the first checkpoint.

    Raises:
        DifferentCheckpointsError: naming the tensor that differs.
        FileExistsError: the folder exists.
    """
    all_tensors = [load_file(checkpoint / _WEIGHTS) for checkpoint in checkpoints]
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in all_tensors]
    for checkpoint, each in zip(checkpoints, shapes, strict=True):
        if each != shapes[0]:
            differing = min(name for name in {*each, *shapes[0]} if each.get(name) != shapes[0].get(name))
            raise DifferentCheckpointsError(f"{checkpoint} and {checkpoints[0]} differ in {differing}")
    mean = {
        name: torch.stack([tensors[name].float() for tensors in all_tensors]).mean(0).to(tensor.dtype)
        for name, tensor in all_tensors[0].items()
    }
    shutil.copytree(checkpoints[0], folder)
    save_file(mean, folder / _WEIGHTS, metadata={"format": "pt"})
    (folder / _WEIGHTS).chmod(0o644)  # save_file makes it its owner's alone
