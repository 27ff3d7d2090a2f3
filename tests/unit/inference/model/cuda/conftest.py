"""CUDA graphs without CUDA: the operations of a step are recorded on a CPU, and a replay repeats them.

A recording holds tensor operations only. Decisions that the host made during it are fixed, exactly as in a graph, and
a step that reads a tensor's value during it fails, as it would there.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from voxfleet_inference.model.layers import kv_cache
from voxfleet_inference.model.runner import slot_states

HOST_WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}


class RecordedGraph(TorchDispatchMode):
    """Stands in for torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self.replays = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # it would import PyTorch's compiler first, which takes seconds

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert function not in HOST_WAITS, f"{function} waits for the device within a step"
        made = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, made))
        return made

    @torch.inference_mode()
    def replay(self) -> None:
        """Repeat all operations, and copy their results into the tensors of the recording."""
        self.replays += 1
        for function, args, kwargs, before in self.operations:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(before), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Streams:
    """Records which stream waited for which."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, str]] = []
        self.made = 0

    def new(self) -> "Stream":
        self.made += 1
        return Stream(f"stream {self.made}", self)


class Stream:
    """Stands in for torch.cuda.Stream."""

    def __init__(self, name: str, streams: Streams) -> None:
        self.name, self._streams = name, streams

    def wait_stream(self, other: "Stream") -> None:
        self._streams.waits.append((self.name, other.name))


@pytest.fixture(autouse=True)
def _memory_begins_as_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where kernels over padded batches read unwritten positions and mask them."""
    for module in (kv_cache, slot_states):
        monkeypatch.setattr(
            module, "allocate", lambda size, device, dtype: torch.zeros(size, device=device, dtype=dtype)
        )


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    """The parts of CUDA's graphs and streams that a step uses."""
    streams = Streams()
    current = Stream("current", streams)

    @contextmanager
    def graph(recorded: RecordedGraph, **_: Any) -> Iterator[None]:
        with recorded:
            yield

    for name, stand_in in {
        "CUDAGraph": RecordedGraph,
        "graph": graph,
        "Stream": streams.new,
        "current_stream": lambda: current,
        "stream": lambda _: nullcontext(),
        "synchronize": lambda: None,
        "graph_pool_handle": lambda: (0, 0),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return streams
