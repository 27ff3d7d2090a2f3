"""Launch a Triton kernel: on a GPU, in Triton's interpreter, or only compile it.

Knows: grids, and Triton's modes. Does not know: what kernels compute. Compiling ahead of time uses the same call as a
launch, so that a later launch finds its kernel in Triton's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import triton
from torch import Tensor
from triton import knobs

_compiles_only: ContextVar[bool] = ContextVar("compiles_only", default=False)


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Launch a kernel, or compile it within `compiling_only`."""
    kernel.run(*arguments, grid=grid, warmup=_compiles_only.get(), **constants)


@contextmanager
def compiling_only() -> Iterator[None]:
    """Compile kernels in this context instead of launching them; tensors may be on the meta device."""
    token = _compiles_only.set(True)
    try:
        yield
    finally:
        _compiles_only.reset(token)


def uses_kernels(x: Tensor) -> bool:
    """Return whether kernels run on the device of this tensor; otherwise their references in PyTorch do."""
    return bool(x.is_cuda or _compiles_only.get() or knobs.runtime.interpret)


def cdiv(size: int, block: int) -> int:
    """Return the number of blocks that cover `size`: the quotient, rounded up."""
    return -(-size // block)


def next_power_of_two(size: int, least: int = 16) -> int:
    """Return the next power of two, at least 16, the smallest side of a tensor core's tile."""
    return max(least, int(triton.next_power_of_2(size)))
