"""A fake GPU that checks CUDA's rules, and a checkpoint to load onto it."""

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


class TransferredWeights(weights.WeightFile):
    """A weight file that is read outside of FakeTensorMode and then copied to the fake device.

    FakeTensorMode cannot read a file: safetensors fills a tensor's memory by its address, and a fake tensor has none.
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


def transferred_weights(folder: Path, names: tuple[str, ...], device: torch.device) -> TransferredWeights:
    return TransferredWeights(next(folder / name for name in names if (folder / name).exists()), device)


def converted(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Stands in for Module.to, which cannot swap a fake tensor that the mode still references."""
    for part in module.modules():
        for name, weight in tuple(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(weight.to(dtype), requires_grad=False))
    return module


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A GPU whose tensors have no values."""
    cuda = FakeCuda()
    for name, stand_in in cuda.stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(graphs, "_WARM_UP_RUNS", 1)
    for module in (attention, linears, norms, split_kv):
        monkeypatch.setattr(module, "launch", cuda.launch)
    monkeypatch.setattr(Tensor, "pin_memory", lambda values: cuda.pin(values))  # noqa: PLW0108 - a method binds no tensor
    monkeypatch.setattr(Tensor, "numpy", lambda values: cuda.as_array(values))  # noqa: PLW0108
    monkeypatch.setattr(checkpoints, "open_weights", transferred_weights)
    monkeypatch.setattr(nn.Module, "to", converted)
    monkeypatch.setattr(fake_tensor, "init_gpu_context", lambda _: None)  # it would start CUDA
    with cuda.there():
        yield cuda
