"""Memory that was freed and not given back, and memory in large pages.

Knows glibc's allocator, which keeps what it was handed back in pieces for later: after a model's weights have been
converted and packed that is as much as the model itself. Knows Linux's transparent huge pages. Does not know models.
"""

import ctypes
import mmap
import sys

import torch
from torch import Tensor


def return_freed_memory() -> None:
    """Hand what is free back to the system; where the allocator is another one, nothing happens."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)


class LargePages:
    """Room for weights that are read from end to end at every step: pages of 2 MiB, where the system has them.

    With pages of 4 KiB a processor spends as long on finding them as on reading, and stops reading ahead at each end.
    """

    def __init__(self, size_bytes: int) -> None:
        memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared memory has small ones
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._bytes = torch.frombuffer(memory, dtype=torch.uint8)
        self._used = 0

    def keep(self, tensor: Tensor) -> Tensor:
        """A copy, behind those kept before."""
        room = self._bytes[self._used : self._used + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        self._used += tensor.nbytes
        return room.copy_(tensor)
