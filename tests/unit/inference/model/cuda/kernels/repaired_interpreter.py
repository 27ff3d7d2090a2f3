"""Triton's interpreter with three faults of 3.6 repaired; import it before any kernel, which also enables it.

It truncates to bfloat16 where a GPU rounds, multiplies bfloat16 bit patterns as integers, and cannot use a loaded
number as the end of a range.
"""
# ruff: noqa: ANN001, ANN201 - Triton has no types

import os

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import triton.language as tl
from triton.runtime import interpreter

_cast = interpreter.InterpreterBuilder.cast_impl
_dot = interpreter.InterpreterBuilder.create_dot
_patch_tensor = interpreter._patch_lang_tensor


def rounded(wide: np.ndarray) -> np.ndarray:
    """Round bits of float32 to bits of bfloat16, to nearest, ties to even."""
    bits = np.ascontiguousarray(wide).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def widened(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def cast(self: interpreter.InterpreterBuilder, src, dst_type):
    kinds = (src.dtype.scalar, dst_type.scalar)
    if kinds == (tl.float32, tl.bfloat16):
        return interpreter.TensorHandle(rounded(src.data), tl.bfloat16)
    if kinds == (tl.bfloat16, tl.float32):
        return interpreter.TensorHandle(widened(src.data), tl.float32)
    return _cast(self, src, dst_type)


def dot(self: interpreter.InterpreterBuilder, a, b, d, input_precision, max_num_imprecise_acc):
    a, b = (cast(self, x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x for x in (a, b))
    return _dot(self, a, b, d, input_precision, max_num_imprecise_acc)


def patch_tensor(tensor, scope) -> None:
    _patch_tensor(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))


interpreter.InterpreterBuilder.cast_impl = cast
interpreter.InterpreterBuilder.create_dot = dot
interpreter._patch_lang_tensor = patch_tensor
