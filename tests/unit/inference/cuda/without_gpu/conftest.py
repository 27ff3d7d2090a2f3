"""A GPU by its rules alone, and a checkpoint to load onto it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import fake_tensor
from torch.utils._python_dispatch import _disable_current_modes
from voxfleet_inference.model import checkpoint as checkpoints
from voxfleet_inference.model import weights
from voxfleet_inference.model.cuda import graphs
from voxfleet_inference.model.cuda.kernels import attention, linears, norms, split_kv
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint

sys.path.insert(0, str(Path(__file__).parent))

from fake_cuda import FakeCuda


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder)
    return folder


class SentWeights(weights.WeightFile):
    """A weight file read outside of the modes, whose tensors are then sent.

    FakeTensorMode cannot read one: safetensors fills a tensor's memory by its address, and a fake tensor has none.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        super().__init__(path)
        self._device, is_safe = device, path.suffix == ".safetensors"
        with _disable_current_modes():
            kind = weights.SafetensorsFile if is_safe else weights.PickleFile
            self._file = kind(path, torch.device("cpu"))

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def read(self, name: str) -> Tensor:
        with _disable_current_modes():
            found = self._file.read(name)
        return found.to(self._device)


def sent_weights(folder: Path, names: tuple[str, ...], device: torch.device) -> SentWeights:
    return SentWeights(next(folder / name for name in names if (folder / name).exists()), device)


def converted(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Stands in for Module.to, which swaps a fake tensor for its copy and cannot where the mode remembers it."""
    for part in module.modules():
        for name, weight in tuple(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(weight.to(dtype), requires_grad=False))
    return module


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """Tensors on it have no values."""
    cuda = FakeCuda()
    for name, stand_in in cuda.stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(graphs, "_FIRST_RUNS", 1)
    for module in (attention, linears, norms, split_kv):
        monkeypatch.setattr(module, "launch", cuda.launch)
    monkeypatch.setattr(Tensor, "pin_memory", lambda values: cuda.pin(values))  # noqa: PLW0108 - a method binds no tensor
    monkeypatch.setattr(Tensor, "numpy", lambda values: cuda.as_array(values))  # noqa: PLW0108
    monkeypatch.setattr(checkpoints, "open_weights", sent_weights)
    monkeypatch.setattr(nn.Module, "to", converted)
    monkeypatch.setattr(fake_tensor, "init_gpu_context", lambda _: None)  # it believes the `is_available` above
    with cuda.there():
        yield cuda
