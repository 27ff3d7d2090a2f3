"""Sorts a model call's errors: out of memory, the device's own, or one sentence's.

Knows: the names and messages of these errors in PyTorch, CUDA and their libraries; the engine does not import torch.
Does not know: what is done about an error.
"""

from __future__ import annotations

from typing import Final

# Libraries below PyTorch report these as a plain RuntimeError.
_OUT_OF_MEMORY_MESSAGES: Final = (
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # PyTorch's CPU allocator
)
_DEVICE_MESSAGES: Final = ("CUDA error", "Triton Error [CUDA]")


def is_out_of_memory(error: Exception) -> bool:
    """Whether the same call with less work may succeed."""
    has_type = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return has_type or any(message in str(error) for message in _OUT_OF_MEMORY_MESSAGES)


def is_fatal(error: Exception) -> bool:
    """Whether the device failed: a CUDA context in error fails every later call, so the process must restart."""
    if is_out_of_memory(error):
        return False
    return type(error).__name__ == "AcceleratorError" or any(message in str(error) for message in _DEVICE_MESSAGES)
