"""How a Triton kernel is started: for real, in Triton's interpreter, or only compiled.

Knows grids and Triton's ways of running. Does not know what kernels compute. Compiling ahead goes through the very
call that starts a kernel, so that what it leaves in Triton's cache is what a later start looks for.
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
    """Start a kernel, or compile it for later."""
    kernel.run(*arguments, grid=grid, warmup=_compiles_only.get(), **constants)


@contextmanager
def compiling_only() -> Iterator[None]:
    """Within it kernels are compiled and never started; tensors may be on the meta device."""
    token = _compiles_only.set(True)
    try:
        yield
    finally:
        _compiles_only.reset(token)


def uses_kernels(x: Tensor) -> bool:
    """Whether kernels run where this tensor is; elsewhere their twins do."""
    return bool(x.is_cuda or _compiles_only.get() or knobs.runtime.interpret)


def blocks(size: int, block: int) -> int:
    """How many blocks cover it."""
    return -(-size // block)


def power_of_two(size: int, least: int = 16) -> int:
    """The next power of two, and at least what a tensor core takes."""
    return max(least, int(triton.next_power_of_2(size)))
