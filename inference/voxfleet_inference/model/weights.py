"""Weight files, and modules filled from them.

Knows: safetensors (memory-mapped), PyTorch's pickles (weights only) and weight normalization (arXiv:1602.07868). Does
not know: what the tensors mean. Every error names the file, the tensor, both shapes and the way out.
"""

import json
import logging
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from zipfile import is_zipfile

import torch
from torch import Tensor, nn

from voxfleet_inference.model.errors import (
    MissingFileError,
    MissingTensorError,
    TruncatedFileError,
    WrongTensorShapeError,
)

REDOWNLOAD = "download it again, or check that the disk was not full"
ALIGNMENT_BYTES = 64  # a cache line, and the widest vector of a CPU
QUARTERS = 4  # progress is logged after each quarter of a file
OTHER_VERSION = "config.json and the weights must come from the same release: download both again"


_logger = logging.getLogger(__name__)

PartHook = Callable[[str, nn.Module], None]  # the name and module of a part that has got its weights


def keep_as_loaded(_name: str, _part: nn.Module) -> None:
    """A PartHook that changes nothing."""


class WeightFile(ABC):
    """An open weight file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def __contains__(self, name: str) -> bool: ...

    @abstractmethod
    def read(self, name: str) -> Tensor:
        """Return the tensor of that name."""

    def tensor(self, name: str, shape: torch.Size) -> Tensor:
        """Return the tensor of that name; a weight stored as direction and length is folded in float32.

        Raises:
            MissingTensorError, WrongTensorShapeError: the file has no such tensor.
        """
        if name not in self and f"{name}_v" in self:
            direction = self._checked(f"{name}_v", shape).float()
            length = self._checked(f"{name}_g", torch.Size((shape[0], *(1 for _ in shape[1:])))).float()
            return torch._weight_norm(direction, length, 0)  # noqa: SLF001 - the one definition of the fold
        return self._checked(name, shape)

    def _checked(self, name: str, shape: torch.Size) -> Tensor:
        if name not in self:
            raise MissingTensorError(
                f"{self.path} has no tensor {name} (shape {list(shape)} in config.json): {OTHER_VERSION}"
            )
        found = self.read(name)
        if found.shape != shape:
            raise WrongTensorShapeError(
                f"{self.path}: tensor {name} has shape {list(found.shape)}, config.json implies {list(shape)}:"
                f" {OTHER_VERSION}"
            )
        return found


class SafetensorsFile(WeightFile):
    """A safetensors file, mapped into memory and read to the device."""

    def __init__(self, path: Path, device: torch.device) -> None:
        from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - loaded when a model is

        super().__init__(path)
        try:
            self._file = safe_open(path, framework="pt", device=str(device))
        except SafetensorError as error:
            raise TruncatedFileError(f"{path} {_safetensors_damage(path)}: {REDOWNLOAD}") from error
        self._names = set(self._file.keys())  # type: ignore[no-untyped-call]

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def read(self, name: str) -> Tensor:
        """Return the tensor of that name."""
        return self._file.get_tensor(name)  # type: ignore[no-any-return,no-untyped-call]


class PickleFile(WeightFile):
    """A file by torch.save, read without running code in it (`weights_only`)."""

    def __init__(self, path: Path, device: torch.device) -> None:
        super().__init__(path)
        try:
            # Zip files (PyTorch 1.6 and later) can be mapped; the older format can only be read whole.
            stored = torch.load(path, map_location=device, weights_only=True, mmap=is_zipfile(path))
        except Exception as error:
            message = f"{path} ({path.stat().st_size} bytes) is not a readable PyTorch weight file: {REDOWNLOAD}"
            raise TruncatedFileError(message) from error
        self._tensors: dict[str, Tensor] = stored.get("state_dict", stored)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def read(self, name: str) -> Tensor:
        """Return the tensor of that name."""
        return self._tensors[name]


def open_weights(folder: Path, names: tuple[str, ...], device: torch.device) -> WeightFile:
    """Open the first of these files that exists.

    Raises:
        MissingFileError: none exists.
        TruncatedFileError: it cannot be read.
    """
    for name in names:
        path = folder / name
        if path.is_file():
            return SafetensorsFile(path, device) if path.suffix == ".safetensors" else PickleFile(path, device)
    raise MissingFileError(f"{folder} has no {' or '.join(names)}: point --model-path at a complete checkpoint folder")


def fill(module: nn.Module, weights: WeightFile, dtype: torch.dtype, then: PartHook = keep_as_loaded) -> None:
    """Replace every parameter of a module (built on the meta device) by its tensor from the file, part by part.

    `then` is called with each part after its parameters are set, and may pack it: what it frees is freed before the
    next part is read, so that the weights are never in memory twice.
    """
    progress = _Progress(weights.path, sum(empty.numel() for empty in module.parameters()))
    for name, part in module.named_modules():
        for leaf, empty in tuple(part.named_parameters(recurse=False)):
            stored = weights.tensor(f"{name}.{leaf}" if name else leaf, empty.shape)
            setattr(part, leaf, nn.Parameter(_aligned(stored.to(dtype)), requires_grad=False))
            progress.add(empty.numel())
        then(name, part)
    module.eval()


class _Progress:
    """Logs after each quarter how much of a file has been read."""

    def __init__(self, path: Path, weights: int) -> None:
        self._path, self._weights, self._read = path, weights, 0

    def add(self, weights: int) -> None:
        """Count `weights` more numbers as read."""
        before = QUARTERS * self._read // self._weights
        self._read += weights
        done = QUARTERS * self._read // self._weights
        if done > before:
            _logger.info("%s: %d %% of %d weights read", self._path, 100 * done // QUARTERS, self._weights)


def _aligned(tensor: Tensor) -> Tensor:
    """Copy a tensor that is not aligned: libraries choose another kernel, with other last bits, for such an address."""
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT_BYTES else tensor


def _safetensors_damage(path: Path) -> str:
    """Describe how a safetensors file differs from what its own header declares."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length_bytes = file.read(8)
        if len(length_bytes) < 8:  # noqa: PLR2004 - the header's length is a 64-bit number
            return f"has {size} bytes, too few for a safetensors header"
        (length,) = struct.unpack("<Q", length_bytes)
        if length > size:
            return f"has {size} bytes and its header alone would take {length}"
        try:
            header = json.loads(file.read(length))
            promised = 8 + length + max(entry["data_offsets"][1] for entry in header.values() if "dtype" in entry)
        except (ValueError, TypeError, KeyError):
            return f"({size} bytes) has no safetensors header"
    return f"has {size} bytes, its header promises {promised}"
